"""From a checkpoint to something that answers.

An engine is a network made ready for that alone, as fast as the processor at hand allows. Another
kind is a file with a function that opens it, and a line here.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import torch

from openmmb.checkpoint import Checkpoint, CheckpointConfig, SavedCheckpoint
from openmmb.distributed import open_device
from openmmb.engine.bf16 import can_multiply_bf16, open_bf16
from openmmb.engine.graphs import is_card, open_cuda, open_cuda_fp32
from openmmb.engine.int8 import can_multiply_bytes, open_int8
from openmmb.engine.packed import open_packed
from openmmb.engine.plain import open_plain
from openmmb.errors import ConfigError, unknown
from openmmb.model.network import Network
from openmmb.text.tokenizer import Tokenizer

_LOG = logging.getLogger(__name__)


class Engine(Network, Protocol):
    """A network that only answers, and what it needs for that beside itself.

    There is nothing in it to train or to save.
    """

    @property
    def config(self) -> CheckpointConfig:
        """What its checkpoint says about itself."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """Its vocabulary."""
        ...


class Opener(Protocol):
    """Opens an engine of one kind."""

    def __call__(self, checkpoint: Checkpoint | SavedCheckpoint, device: torch.device, /) -> Engine:
        """Open it.

        Args:
            checkpoint: The model; ``weights`` gives its weights one by one.
            device: Where it is to compute.

        Raises:
            CheckpointError: The weights are damaged, or not those of the checkpoint's settings.
            ConfigError: This kind cannot be had here.
        """
        ...


ENGINES: dict[str, Opener] = {
    "plain": open_plain,
    "fp32": open_packed,
    "bf16": open_bf16,
    "int8": open_int8,
    "cuda": open_cuda,
    "cuda-fp32": open_cuda_fp32,
}
"""Kind -> what opens it: ``plain`` is PyTorch's own layers, ``fp32`` the fastest in float32;
``bf16`` and ``int8`` are faster still and round, to 16 bits and to 8. ``cuda`` is for graphics
cards and rounds to 16 bits, ``cuda-fp32`` does not."""
AUTO = "auto"
KINDS = (AUTO, *ENGINES)
EXACT = "fp32"
"""What ``auto`` means where a checkpoint does not say, or names what cannot be had here."""
NEEDS: dict[str, Callable[[torch.device], bool]] = {
    "bf16": can_multiply_bf16,
    "int8": can_multiply_bytes,
    "cuda": is_card,
    "cuda-fp32": is_card,
}
"""Kind -> whether it can be had on a device; the others always can."""
ROUNDING = ("bf16", "int8", "cuda")
"""What a checkpoint names that may be rounded."""


def open_engine(
    checkpoint: Checkpoint | SavedCheckpoint, *, device: str = AUTO, kind: str = AUTO
) -> Engine:
    """Make a checkpoint ready to answer.

    Args:
        checkpoint: The model. From a saved one the weights are read one by one, so memory never
            holds them twice.
        device: A device of PyTorch's, or ``auto`` for a graphics card if there is one.
        kind: One of ``ENGINES``; or ``auto``: the checkpoint's own, as far as it names one that
            can be had here, else ``fp32``, which is as exact as training. On a graphics card that
            is ``cuda`` or ``cuda-fp32``.

    Raises:
        ConfigError: There is no such device or no such kind of engine, or it cannot be had here.
        CheckpointError: The weights are damaged, or not those of the checkpoint's settings.
    """
    if kind not in KINDS:
        raise ConfigError(f"engine: {unknown('engine', kind, KINDS)}")
    opened = open_device(device)
    if kind == AUTO:
        kind = own_kind(checkpoint.config, opened)
    return ENGINES[kind](checkpoint, opened)


def own_kind(config: CheckpointConfig, device: torch.device) -> str:
    """Return the kind that a checkpoint asks for, or the exact one.

    Raises:
        ConfigError: It asks for an unknown one.
    """
    if config.engine is not None and config.engine not in ENGINES:
        raise ConfigError(f"{config.name}: engine: {unknown('engine', config.engine, ENGINES)}")
    if is_card(device) and config.engine != "plain":
        return "cuda" if config.engine in ROUNDING else "cuda-fp32"
    if config.engine is None:
        return EXACT
    available = config.engine not in NEEDS or NEEDS[config.engine](device)
    if not available:
        _LOG.info("%s: no %s on this %s; %s", config.name, config.engine, device, EXACT)
    return config.engine if available else EXACT
