"""Noise as people make it, added to training texts so that a classifier sees through it.

Names and punctuation are left out, words are misspelled or disguised. The same text with the same
key comes out the same.
"""

import random
from functools import cache

from openmmb.config import config, require
from openmmb.data.draw import pick
from openmmb.safety.lists import bundled_allowed, bundled_phrases
from openmmb.safety.words import PhraseMatcher

LOOKALIKES = {"a": "@4", "e": "3", "i": "1!", "l": "1", "o": "0", "s": "$5", "t": "7", "u": "*"}
"""What replaces a letter in a disguise; a star replaces any other letter."""
SHORTEST = 4
"""Fewest letters of a word that is misspelled or disguised."""


@config
class NoiseConfig:
    """How often each kind of noise is added, as shares of all texts."""

    mentions: float = 0.5
    """Share of texts that lose their `@user`."""
    marks: float = 0.3
    """Share of texts that lose every `#` and the punctuation at their end."""
    misspelled: float = 0.1
    """Share of texts with misspelled words, one in eight and at least one."""
    disguised: float = 0.15
    """Share of texts whose listed words (`safety.lists`) are disguised, or one word if they have
    none."""

    def __post_init__(self) -> None:
        for name in ("mentions", "marks", "misspelled", "disguised"):
            require(name, getattr(self, name), "from 0 to 1", holds=0 <= getattr(self, name) <= 1)


def add_noise(text: str, config: NoiseConfig, *key: str | int) -> str:
    """Return the text as somebody else might have typed it; ``key`` decides how."""
    rng = random.Random(pick(2**63, "noise", *key))
    if rng.random() < config.mentions:
        text = text.replace("@user", "")
    if rng.random() < config.marks:
        text = text.replace("#", "").rstrip(" .!?")
    if rng.random() < config.disguised:
        text = _disguise_listed(text, rng)
    if rng.random() < config.misspelled:
        words = text.split()
        for _ in range(1 + len(words) // 8):
            words = _change_one(words, rng, disguise=False)
        text = " ".join(words)
    return text


def _disguise_listed(text: str, rng: random.Random) -> str:
    matches = _matcher().find(text)
    if not matches:
        return " ".join(_change_one(text.split(), rng, disguise=True))
    for match in reversed(matches):  # from the end, so that earlier offsets stay right
        words = text[match.start : match.end].split(" ")
        changed = " ".join(_disguise(word, rng) for word in words)
        text = text[: match.start] + changed + text[match.end :]
    return text


def _change_one(words: list[str], rng: random.Random, *, disguise: bool) -> list[str]:
    long = [at for at, word in enumerate(words) if len(word) >= SHORTEST and word.isalpha()]
    if not long:
        return words
    at = rng.choice(long)
    change = _disguise if disguise else _misspell
    return [*words[:at], change(words[at], rng), *words[at + 1 :]]


def _disguise(word: str, rng: random.Random) -> str:
    """``house`` -> ``h0use``, ``h*use``, ``houuuse`` or ``h.o.u.s.e``."""
    if len(word) < 3:
        return word
    kind = rng.random()
    at = rng.randrange(1, len(word) - 1)
    if kind < 0.1:
        return ".".join(word)
    if kind < 0.3:
        return word[:at] + word[at] * 3 + word[at + 1 :]
    marks = "*" if kind < 0.6 else LOOKALIKES.get(word[at].lower(), "*")
    return word[:at] + rng.choice(marks) + word[at + 1 :]


def _misspell(word: str, rng: random.Random) -> str:
    """``house`` -> ``huse``, ``huose`` or ``hoouse``."""
    at = rng.randrange(1, len(word) - 1)
    kind = rng.random()
    if kind < 1 / 3:
        return word[:at] + word[at + 1 :]
    if kind < 2 / 3:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at] + word[at:]


@cache
def _matcher() -> PhraseMatcher:
    return PhraseMatcher(bundled_phrases(), bundled_allowed())
