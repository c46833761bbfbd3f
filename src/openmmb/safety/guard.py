"""One question for what people say and for what the bot would say: may this be said?

The guard keeps nothing: who asks it counts what was judged and what was refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openmmb.config import config, require
from openmmb.safety.lists import bundled_allowed, bundled_phrases, read_phrases
from openmmb.safety.verdict import Check, Side, Utterance, Verdict, judge_many
from openmmb.safety.words import PhraseCheck, PhraseMatcher

NO_CLASSIFIER = "none"
"""In place of a classifier's folder: the lists of phrases alone decide."""


@config
class GuardConfig:
    """What the guard refuses."""

    enabled: bool = True
    """Whether anything is checked at all."""

    threshold: float = 0.5
    """Refuse listed phrases that score at least this; scores go by kind, from swearing (0.6)
    to 1."""

    phrase_files: tuple[Path, ...] = ()
    """More lists of what to refuse, one phrase a line; the full format is described in
    openmmb/safety/lists.py."""

    allow_files: tuple[Path, ...] = ()
    """More lists of what passes although it contains a listed phrase."""

    classifier: str = "safety"
    """Folder of the classifier that is asked after the lists, the name of a bundled one, or
    `none`."""

    classifier_threshold: float | None = None
    """Refuse what the classifier finds unsafe with at least this probability; None: as its folder
    says."""

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

    def judge(self, text: str, context: Sequence[str] = (), *, side: Side = "person") -> Verdict:
        """Judge ``text``, said by ``side`` after ``context`` (oldest turn first).

        Returns:
            The first verdict that is not safe; else the safe one with the highest score.
        """
        return self.judge_many([(text, context)], side=side)[0]

    def judge_many(
        self, utterances: Sequence[Utterance], *, side: Side = "person"
    ) -> list[Verdict]:
        """Judge many texts, each in its own context, as ``judge`` does one.

        Each check is asked once, about all texts that no check before it has refused.
        """
        verdicts = [Verdict(safe=True)] * len(utterances)
        rows = list(range(len(utterances)))
        for check in self.checks:
            if not rows:
                break
            answers = judge_many(check, [utterances[row] for row in rows], side=side)
            for row, verdict in zip(rows, answers, strict=True):
                before = verdicts[row]
                if not verdict.safe or not before.check or verdict.score > before.score:
                    verdicts[row] = verdict
            rows = [row for row in rows if verdicts[row].safe]
        return verdicts

    def ask_all(
        self, text: str, context: Sequence[str] = (), *, side: Side = "person"
    ) -> tuple[Verdict, ...]:
        """Return what every check says, in their order, also after one that refuses."""
        return tuple(judge_many(check, [(text, context)], side=side)[0] for check in self.checks)


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
