"""One question for what people say and for what the bot would say: may this be said?

The guard keeps nothing: who asks it counts what was judged and what was refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openmmb.config import config, require
from openmmb.safety.lists import bundled_allowed, bundled_phrases, read_phrases
from openmmb.safety.verdict import Check, Verdict
from openmmb.safety.words import PhraseCheck, PhraseMatcher

NO_CLASSIFIER = "none"
"""In place of a classifier's folder: the lists of phrases alone decide."""


@config
class GuardConfig:
    """What the guard refuses."""

    enabled: bool = True
    """Whether anything is checked at all."""

    threshold: float = 0.5
    """Refuse listed phrases that score at least this; by kind, from swearing (0.6) to 1."""

    phrase_files: tuple[Path, ...] = ()
    """More lists of what to refuse; form: openmmb/safety/lists.py, or just one phrase a line."""

    allow_files: tuple[Path, ...] = ()
    """More lists of what to let pass although a listed phrase is in it."""

    classifier: str = "safety"
    """Folder of a classifier that is asked after the lists, the name of a bundled one, or
    ``none``."""

    classifier_threshold: float | None = None
    """Refuse what the classifier takes for unsafe at least so likely; None: as its folder says."""

    def __post_init__(self) -> None:
        holds = 0 < self.threshold <= 1
        require("threshold", self.threshold, "above 0 and at most 1", holds=holds)
        likely = self.classifier_threshold
        holds = likely is None or 0 < likely <= 1
        require("classifier_threshold", likely, "above 0 and at most 1", holds=holds)


@dataclass(frozen=True, slots=True)
class Guard:
    """Asks its checks in order; the first that refuses decides.

    Attributes:
        checks: Quick ones first. Without any, every text is safe.
    """

    checks: tuple[Check, ...]

    def judge(self, text: str, context: Sequence[str] = ()) -> Verdict:
        """Judge ``text``, said after ``context`` (oldest turn first).

        Returns:
            The first verdict that is not safe; else the safe one with the highest score.
        """
        mildest = Verdict(safe=True)
        for check in self.checks:
            verdict = check(text, context)
            if not verdict.safe:
                return verdict
            if not mildest.check or verdict.score > mildest.score:
                mildest = verdict
        return mildest

    def ask_all(self, text: str, context: Sequence[str] = ()) -> tuple[Verdict, ...]:
        """Return what every check says, in their order, also after one that refuses."""
        return tuple(check(text, context) for check in self.checks)


def open_guard(config: GuardConfig, *, more: Sequence[Check] = ()) -> Guard:
    """Build the guard that ``config`` describes.

    Args:
        config: What to refuse.
        more: Checks to ask after those of ``config``.

    Raises:
        ConfigError: A list of phrases cannot be read or is malformed.
        CheckpointError: The classifier's folder is missing or damaged.
    """
    if not config.enabled:
        return Guard(checks=())
    return Guard(checks=(_open_words(config), *_open_classifier(config), *more))


def _open_words(config: GuardConfig) -> PhraseCheck:
    phrases = list(bundled_phrases())
    allowed = list(bundled_allowed())
    for path in config.phrase_files:
        phrases += read_phrases(path)
    for path in config.allow_files:
        allowed += read_phrases(path)
    return PhraseCheck(PhraseMatcher(phrases, allowed), threshold=config.threshold)


def _open_classifier(config: GuardConfig) -> tuple[Check, ...]:
    if config.classifier == NO_CLASSIFIER:
        return ()
    from openmmb.safety.classifier import open_classifier  # imports PyTorch

    return (open_classifier(config.classifier, threshold=config.classifier_threshold),)
