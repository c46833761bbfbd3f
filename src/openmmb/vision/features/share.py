"""Which of several processes encodes which pictures, when ``torchrun`` starts them."""

import hashlib
from dataclasses import dataclass
from typing import Final

from openmmb.distributed import environment_rank, environment_world_size
from openmmb.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Share:
    """The part of all pictures that one of several processes encodes.

    It depends on the ids alone and not on what the folder has already, so that processes need not
    begin at once. Every picture is in the share of exactly one rank.

    Attributes:
        rank: This process, from 0.
        world_size: How many there are.

    Raises:
        ValueError: There is no such rank.
    """

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank must be from 0 to {self.world_size - 1}, got {self.rank}")

    def __contains__(self, image_id: str) -> bool:
        # With another number of ranks all is dealt anew: what is left of a run is shared evenly.
        digest = hashlib.sha256(f"{self.world_size} {image_id}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.world_size == self.rank


WHOLE: Final = Share()
"""The share of a process that is alone."""


def environment_share() -> Share:
    """Return the share of this process, as the RANK and WORLD_SIZE of ``torchrun`` say.

    Raises:
        ConfigError: They are not numbers, or do not fit each other.
    """
    try:
        return Share(environment_rank(), environment_world_size())
    except ValueError as error:
        raise ConfigError(f"RANK and WORLD_SIZE: {error}") from error
