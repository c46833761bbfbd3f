"""Which of several processes does what, and on which device, when ``torchrun`` starts them."""

import hashlib
import os
from dataclasses import dataclass
from typing import Final

import torch

from openmmb.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Share:
    """The part of all pictures that one of several processes encodes.

    It depends on the ids alone and not on what the folder has already, so that processes need not
    begin at once. Every picture is in the share of exactly one of ``of`` ranks.

    Attributes:
        rank: This process, from 0.
        of: How many there are.

    Raises:
        ValueError: There is no such rank.
    """

    rank: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.of:
            raise ValueError(f"rank must be from 0 to {self.of - 1}, got {self.rank}")

    def __contains__(self, image_id: str) -> bool:
        # With another number of ranks all is dealt anew: what is left of a run is shared evenly.
        digest = hashlib.sha256(f"{self.of} {image_id}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.rank


WHOLE: Final = Share()
"""The share of a process that is alone."""


def own_share() -> Share:
    """Read the share of this process from RANK and WORLD_SIZE, which ``torchrun`` sets.

    Raises:
        ConfigError: They are not numbers, or do not fit each other.
    """
    try:
        return Share(
            rank=int(os.environ.get("RANK", "0")), of=int(os.environ.get("WORLD_SIZE", "1"))
        )
    except ValueError as error:
        raise ConfigError(f"RANK and WORLD_SIZE: {error}") from error


def own_device(name: str) -> str:
    """Return the device of this process: of several GPUs, the one that LOCAL_RANK says.

    Args:
        name: ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one.

    Raises:
        ConfigError: LOCAL_RANK is not a number.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    rank = os.environ.get("LOCAL_RANK", "0")
    if not rank.isdecimal():
        raise ConfigError(f"LOCAL_RANK: not a number, {rank!r}")
    count = torch.cuda.device_count()
    return f"cuda:{int(rank) % count}" if name == "cuda" and count else name
