"""One question for what people say and for what the bot would say: may this be said?

The guard keeps nothing: who asks it counts what was judged and what was refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from PIL import Image

from openmmb.config import config, require
from openmmb.errors import unknown
from openmmb.safety.care import LINES, Care
from openmmb.safety.homonyms import bundled_homonyms
from openmmb.safety.lists import bundled_allowed, bundled_frames, bundled_phrases, read_phrases
from openmmb.safety.verdict import Check, Side, SorrowCheck, Utterance, Verdict, judge_many
from openmmb.safety.words import PhraseCheck, PhraseMatcher

PictureJudge = Callable[[Image.Image], Verdict]
"""Judges an RGB picture."""
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

    pictures: Literal["off", "installed", "on"] = "off"
    """Whether pictures that a person shows are judged: `on` needs the extra `picture-guard`,
    `installed` does so where it is there."""

    picture_threshold: float = 0.5
    """Refuse pictures that are nudity with at least this probability."""

    country: str = ""
    """Country whose emergency number and crisis line are named to somebody in danger (two letters,
    ISO 3166-1); empty: none is named."""

    help_text: str = ""
    """What somebody in danger is told; `{emergency}` and `{crisis}` stand for the numbers; empty:
    the text that comes with the package."""

    help_numbers: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Emergency number and crisis line by country, before those that come with the package."""

    def __post_init__(self) -> None:
        holds = 0 < self.threshold <= 1
        require("threshold", self.threshold, "above 0 and at most 1", holds=holds)
        likely = self.classifier_threshold
        holds = likely is None or 0 < likely <= 1
        require("classifier_threshold", likely, "above 0 and at most 1", holds=holds)
        holds = 0 < self.picture_threshold <= 1
        value = self.picture_threshold
        require("picture_threshold", value, "above 0 and at most 1", holds=holds)
        known = {*LINES, *self.help_numbers}
        if self.country and self.country not in known:
            raise ValueError(unknown("country", self.country, known))

    def care(self) -> Care:
        """Return the answers to somebody in danger."""
        return Care(self.country, self.help_text, self.help_numbers)


@dataclass(frozen=True, slots=True)
class Guard:
    """Asks its checks in order; the first that refuses decides.

    Attributes:
        checks: Quick ones first. Without any, every text is safe.
        care: What is said where more is at stake than a refused text.
        pictures: Judges RGB pictures that a person shows; None: all are safe.
    """

    checks: tuple[Check, ...]
    care: Care = field(default_factory=Care)
    pictures: PictureJudge | None = None

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
        return self._with_answers(verdicts, utterances, side)

    def judge_picture(self, image: Image.Image) -> Verdict:
        """Judge an RGB picture that a person shows; safe where no check of pictures is open."""
        return Verdict(safe=True) if self.pictures is None else self.pictures(image)

    def _with_answers(
        self, verdicts: list[Verdict], utterances: Sequence[Utterance], side: Side
    ) -> list[Verdict]:
        """Add to refusals what is said instead, where it is more than a change of subject."""
        refused = [row for row, verdict in enumerate(verdicts) if not verdict.safe]
        if not refused or side == "frame":
            return verdicts
        before = [list(utterances[row][1]) for row in refused]
        sad = [False] * len(refused)
        if side == "bot":
            answered = [turns[-1] if turns else "" for turns in before]
            for check in self.checks:
                if isinstance(check, SorrowCheck):
                    told = check.tells_sorrow(answered)
                    sad = [one or other for one, other in zip(sad, told, strict=True)]
        for row, turns, sorrow in zip(refused, before, sad, strict=True):
            verdict = verdicts[row]
            answer = verdict.answer or self.care.answer(verdict, side, len(turns), sorrow=sorrow)
            if answer:
                verdicts[row] = replace(verdict, answer=answer)
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
    checks = (_open_words(config), *_open_classifier(config), *more)
    return Guard(checks=checks, care=config.care(), pictures=_open_pictures(config))


def _open_words(config: GuardConfig) -> PhraseCheck:
    phrases = list(bundled_phrases())
    allowed = list(bundled_allowed())
    for path in config.phrase_files:
        phrases += read_phrases(path)
    for path in config.allow_files:
        allowed += read_phrases(path)
    return PhraseCheck(
        PhraseMatcher(phrases, allowed, bundled_homonyms()),
        threshold=config.threshold,
        frames=PhraseMatcher(bundled_frames()),
    )


def _open_pictures(config: GuardConfig) -> PictureJudge | None:
    if config.pictures == "off":
        return None
    from openmmb.safety.nudity import has_picture_guard, open_picture_check  # onnxruntime

    if config.pictures == "installed" and not has_picture_guard():
        return None
    return open_picture_check(config.picture_threshold)


def _open_classifier(config: GuardConfig) -> tuple[Check, ...]:
    if config.classifier == NO_CLASSIFIER:
        return ()
    from openmmb.safety.classifier import open_classifier  # imports PyTorch

    return (open_classifier(config.classifier, threshold=config.classifier_threshold),)
