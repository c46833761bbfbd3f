"""What a check says about one text, and what a check is.

A verdict is data: words for people are made from it elsewhere, so nothing that a program needs
has to be read out of a sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, runtime_checkable

PHRASES: Final = "words"
"""What a verdict calls the lists of phrases, as ``check``."""
CLASSIFIER: Final = "classifier"
"""What it calls a trained classifier."""

PICTURES: Final = "pictures"
"""What it calls the check of pictures."""
NUDITY: Final = "nudity"
"""The category of pictures that are refused."""

Side = Literal["person", "bot", "frame"]
"""Who would say a text: a person; the bot, in reply to the turns before it; or nobody: a style or a
line of a persona, which is judged as what it would make the bot say."""

Utterance = tuple[str, Sequence[str]]
"""A text, and the turns that came before it, oldest first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a text may be said.

    Attributes:
        safe: Whether it may.
        score: How bad it looked, 0 (harmless) to 1.
        check: Name of the check that decided; empty when no check was asked.
        category: Kind of harm ("slur", "threat", ...), or None when there is none.
        words: The words that decided, as the text spells them, in order.
        threshold: Score from which the check refuses; None where it has none.
        answer: What the person is told instead, where more is at stake than a refused text; empty:
            ``safety.answers`` finds words.
    """

    safe: bool
    score: float = 0.0
    check: str = ""
    category: str | None = None
    words: tuple[str, ...] = ()
    threshold: float | None = None
    answer: str = ""


class Check(Protocol):
    """Judges one text: a word list, a classifier, a function of one's own."""

    def __call__(self, text: str, context: Sequence[str]) -> Verdict:
        """Judge ``text``, said after ``context`` (oldest turn first, often empty)."""
        ...


@runtime_checkable
class BatchCheck(Check, Protocol):
    """A check that judges many texts faster together than one by one."""

    def judge_many(self, utterances: Sequence[Utterance]) -> list[Verdict]:
        """Judge each text in its context; the verdicts are those of one by one."""
        ...


@runtime_checkable
class SidedCheck(Check, Protocol):
    """A check to which it matters who would say a text."""

    def judge_side(self, utterances: Sequence[Utterance], side: Side) -> list[Verdict]:
        """Judge each text in its context, said by ``side``."""
        ...


@runtime_checkable
class SorrowCheck(Check, Protocol):
    """A check that can tell after which texts nothing cheerful fits."""

    def tells_sorrow(self, texts: Sequence[str]) -> list[bool]:
        """Say of each text whether it tells of sorrow or danger."""
        ...


def judge_many(
    check: Check, utterances: Sequence[Utterance], *, side: Side = "person"
) -> list[Verdict]:
    """Judge many texts: together if ``check`` can do that, else one after the other."""
    if isinstance(check, SidedCheck):
        return check.judge_side(utterances, side)
    if isinstance(check, BatchCheck):
        return check.judge_many(utterances)
    return [check(text, context) for text, context in utterances]
