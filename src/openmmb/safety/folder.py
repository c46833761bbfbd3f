"""A trained classifier as one folder, as other checkpoints are.

model.safetensors   the network's weights
config.toml         its shape, its labels, how texts are read
tokenizer.json      its vocabulary
README.md           what it is (optional)
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from openmmb.checkpoint import (
    CONFIG,
    TOKENIZER,
    WEIGHTS,
    Precision,
    convert_weight,
    replace_folder,
)
from openmmb.config import config, dump, require
from openmmb.config import load as load_config
from openmmb.errors import CheckpointError, ConfigError
from openmmb.model.classifier import Classifier, ClassifierShape
from openmmb.safety.texts import ReadConfig
from openmmb.text.tokenizer import Tokenizer, load_tokenizer

HUGGING_FACE = "config.json"
"""What a folder of Hugging Face's has instead of ``config.toml``."""


@config
class ClassifierConfig:
    """What a classifier is and how to ask it.

    Raises:
        ValueError: Its labels are not those of its network, or a text may be longer than the
            network has positions.
    """

    name: str
    """For people."""
    labels: tuple[str, ...]
    """What its outputs are called, in their order."""
    unsafe: tuple[str, ...]
    """Those that are not to be said."""
    threshold: float = 0.5
    """Refuse what is unsafe at least so likely."""
    shape: ClassifierShape
    """The network's."""
    read: ReadConfig = ReadConfig()
    """How words become ids."""

    def __post_init__(self) -> None:
        if len(set(self.labels)) != self.shape.num_labels:
            raise ValueError(
                f"labels ({', '.join(self.labels)}) must be as many as shape.num_labels "
                f"({self.shape.num_labels}), each once"
            )
        if not set(self.unsafe) < set(self.labels) or not self.unsafe:
            raise ValueError(
                f"unsafe ({', '.join(self.unsafe)}) must be some of labels, not all "
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
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder}: is a file; a checkpoint is a folder")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    weights = {
        name: convert_weight(name, tensor, precision)
        for name, tensor in trained.model.state_dict().items()
    }
    save_file(weights, partial / WEIGHTS, metadata={"format": "pt"})
    (partial / CONFIG).write_text(dump(trained.config), encoding="utf-8")
    trained.tokenizer.save(partial / TOKENIZER)
    replace_folder(partial, folder)


def load_classifier(folder: Path) -> TrainedClassifier:
    """Read a classifier; the model is in evaluation mode.

    Raises:
        CheckpointError: The folder or one of its files is missing or damaged, or they do not fit
            each other.
    """
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        raise CheckpointError(f"{folder}: {what}; a classifier is a folder with {CONFIG}")
    for name in (CONFIG, TOKENIZER, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: no {name}; is it the folder of a classifier?")
    try:
        settings = load_config(ClassifierConfig, folder / CONFIG)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
    tokenizer = load_tokenizer(folder / TOKENIZER)
    if tokenizer.vocab_size > settings.shape.vocab_size:
        raise CheckpointError(
            f"{folder / TOKENIZER}: {tokenizer.vocab_size} tokens, but the model of {CONFIG} has "
            f"a vocabulary of {settings.shape.vocab_size}"
        )
    with torch.device("meta"):
        model = Classifier(settings.shape)
    _load_weights(model, folder / WEIGHTS)
    return TrainedClassifier(config=settings, model=model.eval(), tokenizer=tokenizer)


def _load_weights(model: Classifier, path: Path) -> None:
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not safetensors: {error}") from error
    expected = model.state_dict()
    missing = sorted(expected.keys() - weights.keys())
    unknown = sorted(weights.keys() - expected.keys())
    if missing or unknown:
        parts = [f"lacks {', '.join(missing[:3])}"] if missing else []
        parts += [f"has unknown {', '.join(unknown[:3])}"] if unknown else []
        raise CheckpointError(f"{path}: {' and '.join(parts)} for the model of {CONFIG}")
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: {name} is {tuple(tensor.shape)}, but {CONFIG} says "
                f"{tuple(expected[name].shape)}"
            )
    wide = {name: tensor.float() for name, tensor in weights.items()}
    model.load_state_dict(wide, assign=True)
