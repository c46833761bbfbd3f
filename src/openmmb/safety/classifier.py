"""A trained classifier as a check: how likely it is that a text is unsafe, and in what way.

Sizes: B texts, C labels.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from openmmb import hub
from openmmb.config import require
from openmmb.errors import ConfigError, unknown
from openmmb.safety.reading import Window, collate, read
from openmmb.safety.trained import TrainedClassifier, load_classifier
from openmmb.safety.verdict import CLASSIFIER, Utterance, Verdict

DEFAULT = "safety"
"""Name of the classifier that comes with the package."""

Judge = Callable[[Sequence[Utterance]], Tensor]
"""Texts -> probability of each label, (B, C)."""

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
    """

    labels: tuple[str, ...]
    unsafe: tuple[str, ...]
    threshold: float
    judge: Judge
    exclusive: bool = True

    def __post_init__(self) -> None:
        holds = 0 < self.threshold <= 1
        require("threshold", self.threshold, "above 0 and at most 1", holds=holds)

    def __call__(self, text: str, context: Sequence[str] = ()) -> Verdict:
        """Judge ``text``, said after ``context`` (oldest turn first)."""
        return self.judge_many([(text, context)])[0]

    def judge_many(self, utterances: Sequence[Utterance], *, batch_size: int = 64) -> list[Verdict]:
        """Judge texts, each in its context; far faster than one by one."""
        verdicts = [Verdict(safe=True, check=CLASSIFIER, threshold=self.threshold)] * len(
            utterances
        )
        worded = [row for row, (text, _) in enumerate(utterances) if _WORD.search(text)]
        worded.sort(key=lambda row: len(utterances[row][0]))  # similar lengths: little padding
        for start in range(0, len(worded), batch_size):
            rows = worded[start : start + batch_size]
            probabilities = self.judge([utterances[row] for row in rows])
            for row, of_row in zip(rows, probabilities, strict=True):
                verdicts[row] = self._verdict(of_row)
        return verdicts

    def _verdict(self, probabilities: Tensor) -> Verdict:
        chances = {
            label: chance
            for label, chance in zip(self.labels, probabilities.tolist(), strict=True)
            if label in self.unsafe
        }
        score = min(1.0, sum(chances.values())) if self.exclusive else max(chances.values())
        safe = score < self.threshold
        category = None if safe else max(chances, key=chances.__getitem__)
        return Verdict(
            safe=safe, score=score, check=CLASSIFIER, category=category, threshold=self.threshold
        )


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
    else:
        trained = load_classifier(folder)
        config = trained.config
        judge, labels, exclusive = judge_of(trained, context_turns), config.labels, True
        named, default = tuple(unsafe) or config.unsafe, config.threshold
    _check_labels(folder, labels, named)
    return ClassifierCheck(
        labels=labels,
        unsafe=named,
        threshold=default if threshold is None else threshold,
        judge=judge,
        exclusive=exclusive,
    )


def judge_of(trained: TrainedClassifier, context_turns: int | None = None) -> Judge:
    """Return the function that says how likely each label is.

    A text that is too long is judged in several windows, of which the worst counts.

    Args:
        trained: In evaluation mode.
        context_turns: How many turns before a text are looked at, if not as many as it says.
    """
    config = trained.config.reading(context_turns)
    unsafe = torch.tensor([label in trained.config.unsafe for label in trained.config.labels])

    @torch.inference_mode()
    def judge(utterances: Sequence[Utterance]) -> Tensor:
        windows = [read(text, before, trained.tokenizer, config) for text, before in utterances]
        flat: list[Window] = [window for of_text in windows for window in of_text]
        ids, mask, judged = collate(flat, pad_id=trained.tokenizer.pad_id)
        probabilities: Tensor = trained.model(ids, mask, judged).float().softmax(-1)
        if len(flat) == len(utterances):
            return probabilities
        rows = torch.split(probabilities, [len(of_text) for of_text in windows])
        return torch.stack([row[row[:, unsafe].sum(1).argmax()] for row in rows])

    return judge


def _check_labels(folder: Path, labels: Sequence[str], unsafe: Sequence[str]) -> None:
    if not unsafe:
        raise ConfigError(
            f"{folder}: no unsafe labels are named; expected some of {', '.join(labels)}"
        )
    for label in unsafe:
        if label not in labels:
            raise ConfigError(f"{folder}: {unknown('label', label, labels)}")
