"""Talking to a model: in Python and in a terminal."""
