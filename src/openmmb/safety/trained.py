"""A trained classifier as one folder, as other checkpoints are.

model.safetensors   the network's weights
config.toml         its shape, its labels, how texts are read
tokenizer.json      its vocabulary
README.md           what it is (optional)
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch

from openmmb.checkpoint import (
    CONFIG,
    OF,
    OUTPUT,
    TOKENIZER,
    WEIGHTS,
    Precision,
    read_settings,
    read_vocabulary,
    write_folder,
)
from openmmb.config import config, dump, require
from openmmb.errors import CheckpointError, unknown
from openmmb.files import keep_rest, replacing
from openmmb.model.classifier import Classifier, ClassifierShape
from openmmb.outputs import check_folder
from openmmb.safety.compact import open_weights, write_compact
from openmmb.safety.reading import ReadConfig, Vocabulary
from openmmb.safety.verdict import Side
from openmmb.tensors import load_strict
from openmmb.text.wordpiece import is_word_pieces, load_word_pieces


@config
class ClassifierConfig:
    """What a classifier is and how to ask it.

    Raises:
        ValueError: Its labels are not those of its network, or a text may be longer than the
            network has positions.
    """

    name: str
    """Name of the classifier."""
    labels: tuple[str, ...]
    """Names of its outputs, in their order."""
    unsafe: tuple[str, ...]
    """Labels of texts that may not be said."""
    exclusive: bool = True
    """Whether a text has one label; otherwise it has any number of them, each with a probability
    and thresholds of its own."""
    threshold: float = 0.5
    """Probability of being unsafe from which a text is refused, where labels are exclusive."""
    thresholds: dict[Side, dict[str, float]] = field(default_factory=dict)
    """By who would say a text (`person`, `bot`, `frame`), the probability of each label from which
    it is refused; a label that is not there refuses nothing on that side."""
    sorrow: str | None = None
    """The label of texts that tell of sorrow or danger, after which nothing cheerful fits."""
    shape: ClassifierShape
    """Shape of the network."""
    read: ReadConfig = ReadConfig()
    """How a text becomes ids."""

    def __post_init__(self) -> None:
        if len(set(self.labels)) != self.shape.num_labels:
            raise ValueError(
                f"labels ({', '.join(self.labels)}) must be as many as shape.num_labels "
                f"({self.shape.num_labels}), each once"
            )
        if not set(self.unsafe) < set(self.labels) or not self.unsafe:
            raise ValueError(
                f"unsafe ({', '.join(self.unsafe)}) must be a few of labels, not all "
                f"({', '.join(self.labels)})"
            )
        holds = 0 < self.threshold <= 1
        require("threshold", self.threshold, "above 0 and at most 1", holds=holds)
        self._check_thresholds()
        longest = self.read.max_tokens
        longest += self.read.max_context if self.read.layout != "parlai" else 0
        if longest > self.shape.num_positions:
            raise ValueError(
                f"read: {longest} tokens must be at most shape.num_positions "
                f"({self.shape.num_positions})"
            )

    def _check_thresholds(self) -> None:
        for side, thresholds in self.thresholds.items():
            for label, threshold in thresholds.items():
                if label not in self.unsafe:
                    raise ValueError(f"thresholds.{side}: {unknown('label', label, self.unsafe)}")
                holds = 0 < threshold <= 1
                name = f"thresholds.{side}.{label}"
                require(name, threshold, "above 0 and at most 1", holds=holds)
        if self.exclusive and self.thresholds:
            raise ValueError("thresholds must be left out where exclusive is true; use threshold")
        if self.sorrow is not None and self.sorrow not in self.labels:
            raise ValueError(f"sorrow: {unknown('label', self.sorrow, self.labels)}")

    def reading(self, context_turns: int | None) -> ReadConfig:
        """Return ``read`` with another number of turns before a text, None for its own."""
        turns = self.read.context_turns if context_turns is None else context_turns
        return replace(self.read, context_turns=turns)


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier in memory."""

    config: ClassifierConfig
    model: Classifier
    tokenizer: Vocabulary


def save_classifier(
    trained: TrainedClassifier, folder: Path, *, precision: Precision | Literal["int8"]
) -> None:
    """Write a classifier, replacing one that is there; at no moment is there half of one.

    Args:
        trained: The classifier.
        folder: Where to.
        precision: Of the weights; ``int8``: as ``safety.compact`` has it.

    Raises:
        CheckpointError: ``folder`` is something else, or a weight is too large for ``precision``.
    """
    if precision != "int8":
        write_folder(folder, trained.config, trained.model, trained.tokenizer, precision=precision)
        return
    check_folder(folder, OUTPUT, grows=True, error=CheckpointError)
    with replacing(folder) as partial:
        partial.mkdir()
        write_compact(trained.model.state_dict(), partial / WEIGHTS)
        (partial / CONFIG).write_text(dump(trained.config), encoding="utf-8")
        trained.tokenizer.save(partial / TOKENIZER)
        keep_rest(folder, partial)


def load_classifier(folder: Path) -> TrainedClassifier:
    """Read a classifier; the model is in evaluation mode.

    Raises:
        CheckpointError: The folder or one of its files is missing or damaged, or they do not fit
            each other.
    """
    settings = read_settings(ClassifierConfig, folder, what="classifier")
    tokenizer = _read_words(folder, size=settings.shape.vocab_size)
    path = folder / WEIGHTS
    with open_weights(path) as weights:
        layers = settings.shape.num_layers
        if len(weights) < layers:  # a network of many is slow to build
            raise CheckpointError(f"{path}: {len(weights)} weights, expected {layers} layers")
        with torch.device("meta"):
            model = Classifier(settings.shape)
        load_strict(model, weights, path, dtype=torch.float32, of=OF)
    return TrainedClassifier(config=settings, model=model.eval(), tokenizer=tokenizer)


def _read_words(folder: Path, *, size: int) -> Vocabulary:
    path = folder / TOKENIZER
    if not is_word_pieces(path):
        return read_vocabulary(folder, size=size)
    pieces = load_word_pieces(path)
    if pieces.vocab_size > size:
        raise CheckpointError(
            f"{path}: {pieces.vocab_size} tokens, but the model of {CONFIG} has a vocabulary of "
            f"{size}"
        )
    return pieces
