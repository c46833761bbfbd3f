"""From a checkpoint to something that answers.

An engine is a network made ready for that alone, as fast as the processor at hand allows. Another
kind is a file with a function that opens it, and a line here.
"""

from typing import Protocol

import torch

from openmmb.checkpoint import Checkpoint, CheckpointConfig, SavedCheckpoint
from openmmb.distributed import open_device
from openmmb.engine.packed import open_packed
from openmmb.engine.plain import open_plain
from openmmb.errors import ConfigError, unknown
from openmmb.model.network import Network
from openmmb.text.tokenizer import Tokenizer


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
}
"""Kind -> what opens it: ``plain`` is PyTorch's own layers, ``fp32`` the fastest in float32."""
AUTO = "auto"
KINDS = (AUTO, *ENGINES)
DEFAULT = "fp32"
"""What ``auto`` means."""


def open_engine(
    checkpoint: Checkpoint | SavedCheckpoint, *, device: str = AUTO, kind: str = AUTO
) -> Engine:
    """Make a checkpoint ready to answer.

    Args:
        checkpoint: The model. From a saved one the weights are read one by one, so memory never
            holds them twice.
        device: A device of PyTorch's, or ``auto`` for a graphics card if there is one.
        kind: One of ``ENGINES``, or ``auto``: as fast as can be and as exact as training.

    Raises:
        ConfigError: There is no such device or no such kind of engine.
        CheckpointError: The weights are damaged, or not those of the checkpoint's settings.
    """
    if kind not in KINDS:
        raise ConfigError(f"engine: {unknown('engine', kind, KINDS)}")
    return ENGINES[DEFAULT if kind == AUTO else kind](checkpoint, open_device(device))
