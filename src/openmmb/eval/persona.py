"""Whether a reply speaks of the persona that its speaker was given."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from openmmb.eval.metrics import words


def speaks_of(reply: str, persona: Iterable[str]) -> bool:
    """Say whether a reply has a content word of one of the persona's lines."""
    own = {word for line in persona for word in words(line)} - function_words()
    return not own.isdisjoint(words(reply))


@cache
def function_words() -> frozenset[str]:
    """Return the words that say nothing about a persona.

    Pronouns, articles, prepositions, conjunctions, auxiliaries, adverbs of degree and time,
    numbers, and the verbs and adjectives that nearly every persona has.
    """
    path = Path(__file__).with_name("function_words.txt")
    return frozenset(path.read_text(encoding="utf-8").split())
