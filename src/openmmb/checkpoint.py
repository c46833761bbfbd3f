"""A trained model as one folder: weights, vocabulary, settings, and its card.

    model.safetensors   the network's weights
    config.toml         its shape, how words are encoded, how replies are searched for
    tokenizer.json      its vocabulary
    README.md           what it is (optional)
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from openmmb.config import config, dump
from openmmb.config import load as load_config
from openmmb.data.encode import EncodeConfig
from openmmb.errors import CheckpointError, ConfigError
from openmmb.model.config import ModelConfig
from openmmb.model.seq2seq import Seq2Seq
from openmmb.search.config import SearchConfig
from openmmb.text.tokenizer import Tokenizer, load_tokenizer

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.toml", "tokenizer.json"

Precision = Literal["fp32", "fp16", "bf16"]
DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}


@config
class CheckpointConfig:
    """What a checkpoint is and how to talk to it."""

    name: str
    """For people."""
    encoder: str
    """Which picture encoder its image vectors come from."""
    model: ModelConfig
    """The network's shape."""
    encode: EncodeConfig
    """How words become ids."""
    search: SearchConfig
    """How replies are searched for unless a person says otherwise."""
    gender: str | None = None
    """Control that every reply gets, ``f0m0`` for one without gendered words."""
    image_style: str | None = None
    """Style of replies about a picture unless a person names another."""


@dataclass(frozen=True)
class Checkpoint:
    """A model in memory with all that is needed to use it."""

    config: CheckpointConfig
    model: Seq2Seq
    tokenizer: Tokenizer


def save_checkpoint(checkpoint: Checkpoint, folder: Path, *, precision: Precision) -> None:
    """Write a checkpoint, replacing one that is there; at no moment is there half of one."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    dtype = DTYPES[precision]
    weights = {
        name: tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in checkpoint.model.state_dict().items()
    }
    save_file(weights, partial / WEIGHTS, metadata={"format": "pt"})
    (partial / CONFIG).write_text(dump(checkpoint.config), encoding="utf-8")
    checkpoint.tokenizer.save(partial / TOKENIZER)
    replace_folder(partial, folder)


def load_checkpoint(folder: Path, *, dtype: torch.dtype = torch.float32) -> Checkpoint:
    """Read a checkpoint; the model is in evaluation mode.

    Raises:
        CheckpointError: The folder or one of its files is missing or damaged, or they do not fit
            each other.
    """
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        raise CheckpointError(f"{folder}: {what}; a checkpoint is a folder with {CONFIG}")
    for name in (CONFIG, TOKENIZER, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: no {name}; is it a checkpoint folder?")
    try:
        settings = load_config(CheckpointConfig, folder / CONFIG)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
    tokenizer = load_tokenizer(folder / TOKENIZER)
    if tokenizer.vocab_size > settings.model.vocab_size:
        raise CheckpointError(
            f"{folder / TOKENIZER}: {tokenizer.vocab_size} tokens, but the model of {CONFIG} has "
            f"a vocabulary of {settings.model.vocab_size}"
        )
    with torch.device("meta"):
        model = Seq2Seq(settings.model)
    _load_weights(model, folder / WEIGHTS, dtype)
    return Checkpoint(config=settings, model=model.eval(), tokenizer=tokenizer)


def replace_folder(new: Path, old: Path) -> None:
    """Put ``new`` in the place of ``old``; if this is interrupted, one of them is whole."""
    aside = old.with_name(f"{old.name}.replaced")
    shutil.rmtree(aside, ignore_errors=True)
    if old.exists():
        old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)


def _load_weights(model: Seq2Seq, path: Path, dtype: torch.dtype) -> None:
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
    model.load_state_dict({name: tensor.to(dtype) for name, tensor in weights.items()}, assign=True)
