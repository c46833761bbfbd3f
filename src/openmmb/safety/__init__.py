"""Verdicts on messages and replies: lists of phrases, classifiers, and the guard that asks them."""
