"""A trained model as one folder: weights, vocabulary, settings, and its card.

model.safetensors   the network's weights
config.toml         its shape, how words are encoded, how replies are searched for
tokenizer.json      its vocabulary
README.md           what it is (optional)
"""

import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import torch
from safetensors.torch import save_file
from torch import nn

from openmmb.config import config, dump
from openmmb.config import load as load_config
from openmmb.data.encode import EncodeConfig
from openmmb.errors import CheckpointError, ConfigError, unknown
from openmmb.files import keep_rest, replacing
from openmmb.hub import resolve
from openmmb.model.adapter import AdapterConfig, adapt, merge, own_names
from openmmb.model.causal import CausalLM
from openmmb.model.causal_config import CausalConfig
from openmmb.model.config import ModelConfig
from openmmb.model.linear import Linear, LinearFactory
from openmmb.model.network import TrainableNetwork
from openmmb.model.seq2seq import Seq2Seq
from openmmb.model.shapes import Shape
from openmmb.outputs import OutputKind, check_folder
from openmmb.pretrained.bases import BASES, load_base
from openmmb.search.config import SearchConfig
from openmmb.tensors import (
    Weight,
    convert_weight,
    load_strict,
    open_safetensors,
    require_layers,
    require_weights,
    weights_of,
)
from openmmb.text.gender import GENDER_TOKENS
from openmmb.text.tokenizer import Tokenizer, load_tokenizer
from openmmb.text.wordpiece import WordPieces

C = TypeVar("C")

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.toml", "tokenizer.json"
OUTPUT = OutputKind("a checkpoint", (WEIGHTS, CONFIG, TOKENIZER), ("README.md",))
"""The folder, as what writes one knows it."""
OF = f" for the model of {CONFIG}"
"""Ends a message about weights that are not those of a network."""

Precision = Literal["fp32", "fp16", "bf16"]
DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}


@config
class CheckpointConfig:
    """What a checkpoint is and how to talk to it.

    Raises:
        ValueError: A context or a reply may be longer than the network has positions, or
            `gender` is no control.
    """

    name: str
    """Name of the checkpoint, for people."""
    encoder: str
    """Picture encoder that its image vectors come from."""
    model: Shape
    """Shape of the network."""
    encode: EncodeConfig
    """How words become ids."""
    search: SearchConfig
    """How replies are searched for unless a person says otherwise."""
    gender: str | None = None
    """Control that every reply gets, `f0m0` for one without gendered words."""
    ban_gendered_words: bool = False
    """Where the control is `f0m0`, also ban gendered words from the search for a reply."""
    image_style: str | None = None
    """Style of replies about a picture unless a person names another."""
    engine: str | None = None
    """Kind of engine that answers unless a person names another: `fp32`, `bf16`, `int8`."""
    base: str | None = None
    """Published network that the checkpoint is built on, whose weights it does not hold."""
    adapter: AdapterConfig | None = None
    """Which weights of the base were trained, and are in the checkpoint."""

    def __post_init__(self) -> None:
        self._check_lengths()
        if (self.base is None) is not (self.adapter is None):
            raise ValueError(
                f"base is {self.base!r} and adapter is {self.adapter}; set both, or neither"
            )
        if self.base is not None and not isinstance(self.model, CausalConfig):
            raise ValueError(f"base is {self.base!r}, so model.kind must be 'causal'")
        if self.base is not None and self.base not in BASES:
            raise ValueError(unknown("base", self.base, BASES))
        if self.gender is not None and self.gender not in GENDER_TOKENS:
            raise ValueError(
                f"gender must be one of {', '.join(GENDER_TOKENS)}, got {self.gender!r}"
            )

    @property
    def seq2seq(self) -> ModelConfig:
        """The shape of a network with encoder and decoder.

        Raises:
            CheckpointError: It is of another kind.
        """
        if not isinstance(self.model, ModelConfig):
            raise CheckpointError(
                f"{self.name}: model.kind is {self.model.kind!r}; expected a network with encoder "
                "and decoder, as Multi-Modal BlenderBot's"
            )
        return self.model

    def _check_lengths(self) -> None:
        context, reply = self.encode.max_context, self.encode.max_reply
        positions = self.model.num_positions
        if isinstance(self.model, CausalConfig):
            picture = self.model.image_vectors
            if picture + context + reply > positions:
                raise ValueError(
                    f"model.image_vectors ({picture}), encode.max_context ({context}) and "
                    f"encode.max_reply ({reply}) must be at most model.num_positions "
                    f"({positions}) together"
                )
        elif max(context, reply) > positions:
            raise ValueError(
                f"encode.max_context ({context}) and encode.max_reply ({reply}) must be at most "
                f"model.num_positions ({positions})"
            )


NETWORKS: Final[dict[type, Callable[[Any, LinearFactory], TrainableNetwork]]] = {
    ModelConfig: Seq2Seq,
    CausalConfig: CausalLM,
}
"""Class of a shape -> the class of its network."""


def new_network(shape: Shape, linear: LinearFactory = Linear) -> TrainableNetwork:
    """Build a network; its weights are then to be loaded, or drawn by ``initialise``."""
    return NETWORKS[type(shape)](shape, linear)


@dataclass(frozen=True)
class Checkpoint:
    """A model in memory with all that is needed to use it."""

    config: CheckpointConfig
    model: TrainableNetwork
    tokenizer: Tokenizer

    @contextmanager
    def weights(self) -> Iterator[dict[str, Weight]]:
        """Give the weights by name; they are those of ``model`` itself."""
        yield weights_of(self.model)


@dataclass(frozen=True)
class SavedCheckpoint:
    """A model on disk: its weights are read when they are asked for.

    Attributes:
        config: What it is.
        tokenizer: Its vocabulary.
        folder: Where its weights are.
    """

    config: CheckpointConfig
    tokenizer: Tokenizer
    folder: Path

    @contextmanager
    def weights(self) -> Iterator[dict[str, Weight]]:
        """Give the weights by name, each to be read on its own.

        Raises:
            CheckpointError: The file is damaged, or they are not the weights of ``config.model``;
                or the base that it is built on is not installed.
        """
        if self.config.base is not None:
            yield weights_of(load_checkpoint(self.folder).model)
            return
        path = self.folder / WEIGHTS
        require_layers(path, self.config.model, of=OF)
        with torch.device("meta"):
            expected = new_network(self.config.model).state_dict()
        with open_safetensors(path) as weights:
            require_weights(path, weights, expected, of=OF)
            yield weights


def empty_network(settings: CheckpointConfig) -> TrainableNetwork:
    """Return the network of a checkpoint on the ``meta`` device, with adapters if it has any."""
    with torch.device("meta"):
        model = new_network(settings.model)
        if settings.adapter is not None and isinstance(model, CausalLM):
            adapt(model, settings.adapter)
    return model


def save_checkpoint(checkpoint: Checkpoint, folder: Path, *, precision: Precision) -> None:
    """Write a checkpoint, replacing one that is there; at no moment is there half of one.

    What else is in the folder stays.

    Raises:
        CheckpointError: ``folder`` is something else, a weight is too large for ``precision``,
            or the weights are those of an engine, not of a network that was trained.
    """
    if not isinstance(checkpoint, Checkpoint):
        raise CheckpointError(
            f"{folder}: nothing was saved: expected a Checkpoint, as load_checkpoint gives, got "
            f"{type(checkpoint).__name__}"
        )
    model = checkpoint.model
    expected = empty_network(checkpoint.config).state_dict()
    of = " for the model of its config; expected a network as training has it"
    if checkpoint.config.base is not None:
        of += ", with its adapters not merged (load_checkpoint's adapted=True)"
    require_weights(folder, weights_of(model), expected, of=of)
    write_folder(
        folder,
        checkpoint.config,
        model,
        checkpoint.tokenizer,
        precision=precision,
        names=None if checkpoint.config.base is None else own_names(model),
    )


def write_folder(
    folder: Path,
    settings: Any,
    model: nn.Module,
    tokenizer: Tokenizer | WordPieces,
    *,
    precision: Precision,
    names: Collection[str] | None = None,
) -> None:
    """Write a trained network of any kind with its settings, a config, and its vocabulary.

    Args:
        folder: Where to.
        settings: Its config.
        model: The network.
        tokenizer: Its vocabulary.
        precision: Precision of the weights.
        names: The weights that are written; None: all.

    Raises:
        CheckpointError: ``folder`` is something else, or a weight is too large for ``precision``.
    """
    check_folder(folder, OUTPUT, grows=True, error=CheckpointError)
    weights = {
        name: convert_weight(name, tensor, DTYPES[precision])
        for name, tensor in model.state_dict().items()
        if names is None or name in names
    }
    with replacing(folder) as partial:
        partial.mkdir()
        save_file(weights, partial / WEIGHTS, metadata={"format": "pt"})
        (partial / CONFIG).write_text(dump(settings), encoding="utf-8")
        shutil.copymode(partial / CONFIG, partial / WEIGHTS)  # safetensors lets only the owner read
        tokenizer.save(partial / TOKENIZER)
        keep_rest(folder, partial)


def find_checkpoint(name: Path | str) -> Path:
    """Return the folder of a checkpoint.

    Args:
        name: Its path, the name of one that comes with the package, or ``org/name`` on the Hugging
            Face hub, from which it is downloaded once.

    Raises:
        CheckpointError: It is not here, and the hub does not have it or cannot be reached.
    """
    return resolve(name)


def open_checkpoint(folder: Path) -> SavedCheckpoint:
    """Read all of a checkpoint but its weights.

    Raises:
        CheckpointError: The folder or one of its files is missing or damaged, or they do not fit
            each other.
    """
    settings = read_settings(CheckpointConfig, folder, what="checkpoint")
    tokenizer = read_vocabulary(folder, size=settings.model.vocab_size)
    return SavedCheckpoint(config=settings, tokenizer=tokenizer, folder=folder)


def load_checkpoint(
    folder: Path, *, dtype: torch.dtype = torch.float32, adapted: bool = False
) -> Checkpoint:
    """Read a checkpoint; the model is in evaluation mode.

    Args:
        folder: The checkpoint.
        dtype: Precision of the weights.
        adapted: Leave adapters beside the base's weights, in float32, to train them on. Otherwise
            they are merged into them.

    Raises:
        CheckpointError: The folder or one of its files is missing or damaged, or they do not fit
            each other; or the base that it is built on is not installed.
    """
    saved = open_checkpoint(folder)
    settings = saved.config
    if settings.base is None:
        require_layers(folder / WEIGHTS, settings.model, of=OF)
    with torch.device("meta"):
        model = new_network(settings.model)
    if settings.base is None or settings.adapter is None or not isinstance(model, CausalLM):
        load_weights(model, folder / WEIGHTS, dtype)
    else:
        load_base(model, model.config, settings.base, dtype if adapted else torch.float32)
        adapt(model, settings.adapter)
        load_weights(model, folder / WEIGHTS, torch.float32, names=own_names(model))
        if not adapted:
            merge(model)
            model.to(dtype)
    return Checkpoint(config=settings, model=model.eval(), tokenizer=saved.tokenizer)


def read_settings(kind: type[C], folder: Path, *, what: str) -> C:
    """Read the settings in a folder that ``write_folder`` wrote.

    Args:
        kind: The config that they are.
        folder: The folder.
        what: What it should hold, for messages.

    Raises:
        CheckpointError: The folder or one of its files is missing, or the settings are damaged.
    """
    if not folder.is_dir():
        problem = "not a folder" if folder.exists() else "no such folder"
        raise CheckpointError(f"{folder}: {problem}; a {what} is a folder with {CONFIG}")
    for name in (CONFIG, TOKENIZER, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: no {name}; is it the folder of a {what}?")
    try:
        return load_config(kind, folder / CONFIG)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def read_vocabulary(folder: Path, *, size: int) -> Tokenizer:
    """Read the vocabulary beside a network that knows ``size`` tokens.

    Raises:
        CheckpointError: It is damaged, or has more tokens.
    """
    tokenizer = load_tokenizer(folder / TOKENIZER)
    if tokenizer.vocab_size > size:
        raise CheckpointError(
            f"{folder / TOKENIZER}: {tokenizer.vocab_size} tokens, but the model of {CONFIG} has "
            f"a vocabulary of {size}"
        )
    return tokenizer


def load_weights(
    model: nn.Module,
    path: Path,
    dtype: torch.dtype = torch.float32,
    *,
    names: Collection[str] | None = None,
) -> None:
    """Give a network, which may be on the ``meta`` device, its weights.

    Args:
        model: The network.
        path: The file.
        dtype: Precision that they are converted to.
        names: The weights that the file must hold; None: all.

    Raises:
        CheckpointError: The file is damaged, or its weights are not those of the network.
    """
    with open_safetensors(path) as weights:
        load_strict(model, weights, path, names=names, dtype=dtype, of=OF)
