"""A trained classifier as one folder, as other checkpoints are.

model.safetensors   the network's weights
config.toml         its shape, its labels, how texts are read
tokenizer.json      its vocabulary
README.md           what it is (optional)
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from openmmb.checkpoint import (
    WEIGHTS,
    Precision,
    load_weights,
    read_settings,
    read_vocabulary,
    write_folder,
)
from openmmb.config import config, require
from openmmb.model.classifier import Classifier, ClassifierShape
from openmmb.safety.reading import ReadConfig
from openmmb.tensors import require_layers
from openmmb.text.tokenizer import Tokenizer


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
    threshold: float = 0.5
    """Probability of being unsafe from which a text is refused."""
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
        longest = self.read.max_tokens
        longest += self.read.max_context if self.read.layout == "openmmb" else 0
        if longest > self.shape.num_positions:
            raise ValueError(
                f"read: {longest} tokens must be at most shape.num_positions "
                f"({self.shape.num_positions})"
            )

    def reading(self, context_turns: int | None) -> ReadConfig:
        """Return ``read`` with another number of turns before a text, None for its own."""
        turns = self.read.context_turns if context_turns is None else context_turns
        return replace(self.read, context_turns=turns)


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier in memory."""

    config: ClassifierConfig
    model: Classifier
    tokenizer: Tokenizer


def save_classifier(trained: TrainedClassifier, folder: Path, *, precision: Precision) -> None:
    """Write a classifier, replacing one that is there; at no moment is there half of one.

    Raises:
        CheckpointError: ``folder`` is a file, or a weight is too large for ``precision``.
    """
    write_folder(folder, trained.config, trained.model, trained.tokenizer, precision=precision)


def load_classifier(folder: Path) -> TrainedClassifier:
    """Read a classifier; the model is in evaluation mode.

    Raises:
        CheckpointError: The folder or one of its files is missing or damaged, or they do not fit
            each other.
    """
    settings = read_settings(ClassifierConfig, folder, what="classifier")
    tokenizer = read_vocabulary(folder, size=settings.shape.vocab_size)
    require_layers(folder / WEIGHTS, settings.shape)
    with torch.device("meta"):
        model = Classifier(settings.shape)
    load_weights(model, folder / WEIGHTS, torch.float32)
    return TrainedClassifier(config=settings, model=model.eval(), tokenizer=tokenizer)
