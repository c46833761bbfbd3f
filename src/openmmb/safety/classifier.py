"""A trained classifier as a check: how likely it is that a text is unsafe, and in what way.

Sizes: B texts, C labels.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from openmmb import hub
from openmmb.config import require
from openmmb.errors import ConfigError, unknown
from openmmb.safety.cheer import is_cheerful, without_not_so
from openmmb.safety.reading import Window, collate, count_words, read
from openmmb.safety.reported import without_reported
from openmmb.safety.trained import ClassifierConfig, TrainedClassifier, load_classifier
from openmmb.safety.verdict import CLASSIFIER, Side, Utterance, Verdict
from openmmb.threads import few_threads

DEFAULT = "safety"
"""Name of the classifier that comes with the package."""

Thresholds = dict[Side, dict[str, float]]
"""By side, the probability of each label from which a text is refused."""
SORROW = 0.4
"""Probability from which a text tells of sorrow."""

Judge = Callable[[Sequence[Utterance]], Tensor]
"""Texts -> probability of each label, (B, C)."""

LONE_WORDS = 2
"""So few words of a person's decide nothing by themselves: they may be a name or an answer."""
LONE_KINDS = frozenset({"self_harm", "threat", "minor"})
"""Kinds of talk that so few words may be all the same, as an answer to what was said before."""
REPLY_KINDS = frozenset(
    {
        "unfit",
        "offending_user",
        "risk_ignorance",
        "unauthorized_expertise",
        "toxicity_agreement",
        "biased_opinion",
    }
)
"""What can be wrong with a reply alone: no reason to refuse what a person says."""
DANGERS = frozenset({"self_harm", "threat", "minor", "danger", "hate"})
"""Kinds of talk that no reply cheers at."""
TOLD_KINDS = frozenset({"hate", "insult"})
"""Kinds of talk that victims tell of. Whoever hears voices that tell them to die needs help too."""
WINDOWS = 16
"""Windows that are judged at once."""

_WORD = re.compile(r"\w|[^\x00-\x7f]")


@dataclass(frozen=True)
class ClassifierCheck:
    """Refuses what its classifier finds unsafe; a ``safety.verdict.BatchCheck``.

    Attributes:
        labels: C names.
        unsafe: Labels of texts that may not be said.
        threshold: Probability of being unsafe from which a text is refused.
        judge: The classifier.
        exclusive: Whether a text has one label; otherwise it has any number of them.
        thresholds: Where labels are not exclusive, by side, those of each label; a side that is
            not there refuses from ``threshold`` whatever is unsafe.
        sorrow: The label of texts that tell of sorrow or danger; None: there is none.
    """

    labels: tuple[str, ...]
    unsafe: tuple[str, ...]
    threshold: float
    judge: Judge
    exclusive: bool = True
    thresholds: Mapping[Side, Mapping[str, float]] = field(default_factory=dict)
    sorrow: str | None = None

    def __post_init__(self) -> None:
        holds = 0 < self.threshold <= 1
        require("threshold", self.threshold, "above 0 and at most 1", holds=holds)

    def __call__(self, text: str, context: Sequence[str] = ()) -> Verdict:
        """Judge ``text``, said after ``context`` (oldest turn first)."""
        return self.judge_many([(text, context)])[0]

    def judge_many(self, utterances: Sequence[Utterance]) -> list[Verdict]:
        """Judge what persons would say, each text in its context; faster than one by one."""
        return self.judge_side(utterances, "person")

    def judge_side(
        self, utterances: Sequence[Utterance], side: Side, *, batch_size: int = 64
    ) -> list[Verdict]:
        """Judge what ``side`` would say, each text in its context; faster than one by one."""
        verdicts = [Verdict(safe=True, check=CLASSIFIER, threshold=self.threshold)] * len(
            utterances
        )
        for row, of_row in self._ask(utterances, batch_size):
            text, context = utterances[row]
            few = side == "person" and count_words(text) <= LONE_WORDS
            verdict = self._verdict(of_row, side, few=few, answers=bool(context))
            verdicts[row] = verdict
        if side == "bot":
            return self._without_cheer(verdicts, utterances)
        return self._of_own_words(verdicts, utterances) if side == "person" else verdicts

    def _of_own_words(
        self, verdicts: list[Verdict], utterances: Sequence[Utterance]
    ) -> list[Verdict]:
        """Judge again, without what is over, denied or said by others, what was refused for it."""
        rests = {
            row: rest
            for row, (text, _) in enumerate(utterances)
            if (rest := _own_words(text, verdicts[row].category)) != text
        }
        if rests:
            judged = self.judge_side([(rest, ()) for rest in rests.values()], "person")
            for row, verdict in zip(rests, judged, strict=True):
                verdicts[row] = verdict
        return verdicts

    def _without_cheer(
        self, verdicts: list[Verdict], utterances: Sequence[Utterance]
    ) -> list[Verdict]:
        """Refuse replies that cheer where sorrow or danger was told."""
        rows = [
            row
            for row, (text, context) in enumerate(utterances)
            if context and verdicts[row].safe and is_cheerful(text)
        ]
        told = self.tells_sorrow([utterances[row][1][-1] for row in rows])
        for row, sad in zip(rows, told, strict=True):
            if sad:
                verdicts[row] = replace(verdicts[row], safe=False, category="risk_ignorance")
        return verdicts

    def tells_sorrow(self, texts: Sequence[str]) -> list[bool]:
        """Say of each text whether it tells of sorrow or danger; none does without the label."""
        told = [False] * len(texts)
        if self.sorrow is not None:
            columns = [self.labels.index(self.sorrow)]
            columns += [at for at, label in enumerate(self.labels) if label in DANGERS]
            for row, of_row in self._ask([(text, ()) for text in texts], 64):
                told[row] = of_row[columns].max().item() >= SORROW
        return told

    def _ask(
        self, utterances: Sequence[Utterance], batch_size: int
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield the probabilities of each text that has words, with its row."""
        worded = [row for row, (text, _) in enumerate(utterances) if _WORD.search(text)]
        worded.sort(key=lambda row: len(utterances[row][0]))  # similar lengths: little padding
        for start in range(0, len(worded), batch_size):
            rows = worded[start : start + batch_size]
            probabilities = self.judge([utterances[row] for row in rows])
            yield from zip(rows, probabilities, strict=True)

    def _verdict(self, probabilities: Tensor, side: Side, *, few: bool, answers: bool) -> Verdict:
        chances = {
            label: chance
            for label, chance in zip(self.labels, probabilities.tolist(), strict=True)
            if label in self.unsafe and (side == "bot" or label not in REPLY_KINDS)
        }
        score, worst, threshold = 0.0, "", self.threshold
        if not self.exclusive and side in self.thresholds:
            limits = {at: own for at, own in self.thresholds[side].items() if at in chances}
            if limits:
                worst = max(limits, key=lambda label: _excess(chances[label], limits[label]))
                score, threshold = chances[worst], limits[worst]
        elif chances:
            score = min(1.0, sum(chances.values())) if self.exclusive else max(chances.values())
            worst = max(chances, key=chances.__getitem__)
        decides = not few or (answers and worst in LONE_KINDS)
        safe = score < threshold or not decides
        return Verdict(
            safe=safe,
            score=score,
            check=CLASSIFIER,
            category=None if safe else worst,
            threshold=threshold,
        )


def _own_words(text: str, category: str | None) -> str:
    """Return what of a text counts where it was refused as ``category``."""
    if category == "self_harm":
        return without_not_so(text)
    return without_reported(text) if category in TOLD_KINDS else text


def _excess(chance: float, threshold: float) -> float:
    """Return how far a probability is above its threshold, or below, as a share of what it can."""
    if chance >= threshold:
        return (chance - threshold) / max(1 - threshold, 1e-6)
    return chance / threshold - 1


def open_classifier(
    name: Path | str = DEFAULT,
    *,
    threshold: float | None = None,
    unsafe: Sequence[str] = (),
    context_turns: int | None = None,
) -> ClassifierCheck:
    """Open a classifier as a check.

    Args:
        name: A folder that this project wrote, the name of a bundled one, a folder of a Hugging
            Face model for text classification, or ``org/name`` of either on the hub.
        threshold: Probability of being unsafe from which a text is refused; None: as the folder
            says, 0.5 for Hugging Face's.
        unsafe: Labels of texts that may not be said; empty: those that the folder names, which
            Hugging Face's do not.
        context_turns: How many turns before a text are looked at; None: as the folder says, none
            for Hugging Face's.

    Raises:
        CheckpointError: The folder or one of its files is missing or damaged.
        ConfigError: It has no label of ``unsafe``, or none is named; ``threshold`` is not from 0
            to 1; or the folder is Hugging Face's and ``transformers`` is not installed.
    """
    folder = hub.resolve(name, hub.CHECKPOINT, hub.TRANSFORMERS)
    if threshold is not None and not 0 < threshold <= 1:
        raise ConfigError(f"threshold must be above 0 and at most 1, got {threshold}")
    if context_turns is not None and context_turns < 0:
        raise ConfigError(f"context_turns must be at least 0, got {context_turns}")
    if (folder / hub.TRANSFORMERS.marker).is_file():
        from openmmb.safety.huggingface import open_huggingface  # slow to import, and an extra

        loaded = open_huggingface(folder, context_turns=context_turns or 0)
        judge: Judge = loaded.judge
        labels, exclusive = loaded.labels, loaded.exclusive
        named, default = tuple(unsafe), 0.5
        thresholds, sorrow = Thresholds(), None
    else:
        trained = load_classifier(folder)
        config = trained.config
        judge, labels, exclusive = judge_of(trained, context_turns), config.labels, config.exclusive
        named, default = tuple(unsafe) or config.unsafe, config.threshold
        thresholds, sorrow = _thresholds_of(config, named, threshold), config.sorrow
    _check_labels(folder, labels, named)
    return ClassifierCheck(
        labels=labels,
        unsafe=named,
        threshold=default if threshold is None else threshold,
        judge=judge,
        exclusive=exclusive,
        thresholds=thresholds,
        sorrow=sorrow,
    )


def _thresholds_of(
    config: ClassifierConfig, unsafe: Sequence[str], threshold: float | None
) -> Thresholds:
    """Return the thresholds of a folder for the labels ``unsafe``, or one in place of them all."""
    return {
        side: {
            label: own if threshold is None else threshold
            for label, own in of_side.items()
            if label in unsafe
        }
        for side, of_side in config.thresholds.items()
    }


def judge_of(trained: TrainedClassifier, context_turns: int | None = None) -> Judge:
    """Return the function that says how likely each label is.

    A text that is too long is judged in several windows, of which the worst counts.

    Args:
        trained: In evaluation mode.
        context_turns: How many turns before a text are looked at, if not as many as it says.
    """
    config = trained.config.reading(context_turns)
    exclusive = trained.config.exclusive
    weights = trained.config.shape.embed_dim * trained.config.shape.ffn_dim
    unsafe = torch.tensor([label in trained.config.unsafe for label in trained.config.labels])

    @torch.inference_mode()
    def judge(utterances: Sequence[Utterance]) -> Tensor:
        windows = [read(text, before, trained.tokenizer, config) for text, before in utterances]
        flat: list[Window] = [window for of_text in windows for window in of_text]
        batches = []
        for start in range(0, len(flat), WINDOWS):
            batch = collate(flat[start : start + WINDOWS], pad_id=trained.tokenizer.pad_id)
            with few_threads(weights * len(batch[0])):
                logits: Tensor = trained.model(*batch).float()
            batches.append(logits.softmax(-1) if exclusive else logits.sigmoid())
        probabilities = torch.cat(batches)
        if len(flat) == len(utterances):
            return probabilities
        rows = torch.split(probabilities, [len(of_text) for of_text in windows])
        if exclusive:
            return torch.stack([row[row[:, unsafe].sum(1).argmax()] for row in rows])
        return torch.stack([row.amax(0) for row in rows])

    return judge


def _check_labels(folder: Path, labels: Sequence[str], unsafe: Sequence[str]) -> None:
    if not unsafe:
        raise ConfigError(
            f"{folder}: no unsafe labels are named; expected some of {', '.join(labels)}"
        )
    for label in unsafe:
        if label not in labels:
            raise ConfigError(f"{folder}: {unknown('label', label, labels)}")
