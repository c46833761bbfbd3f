"""What a decoder-only network remembers: what it has read, and what the beams of a search write.

Sizes: B rows, M picture vectors and context tokens, J heads of keys and values, E width of a head,
K beams a row, C slots, T steps.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from openmmb.model.attention import additive_mask
from openmmb.model.cache import DecoderCache
from openmmb.model.causal_config import CausalConfig
from openmmb.model.causal_layers import Rotation, rotation_at
from openmmb.model.static_cache import Heads, StaticCache, StaticSizes, put, widened


@dataclass(frozen=True, slots=True)
class CausalMemory:
    """What a reply looks at: picture and context, read.

    Attributes:
        keys: For each layer (B, J, M, E).
        values: For each layer (B, J, M, E).
        mask: (B, M) bool, True at what counts.
    """

    keys: list[Tensor]
    values: list[Tensor]
    mask: Tensor

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def next_position(self) -> Tensor:
        """(B,) int64, where a reply begins."""
        return self.mask.sum(1)


class CausalCache:
    """The memory of one search: what was read stands before the slots that its beams write to."""

    def __init__(
        self,
        memory: CausalMemory,
        config: CausalConfig,
        *,
        num_beams: int,
        max_tokens: int,
        dtype: torch.dtype,
    ) -> None:
        self._length = memory.mask.shape[1]
        slots = num_beams * max_tokens
        self._keys = [_with_room(k, slots) for k in memory.keys]
        self._values = [_with_room(v, slots) for v in memory.values]
        past = additive_mask(memory.mask[:, None, None], dtype)
        self._past = past[:, 0].expand(-1, num_beams, -1)
        self._own = DecoderCache(
            cross=[],
            cross_mask=past,
            keys=[k[:, :, self._length :] for k in self._keys],
            values=[v[:, :, self._length :] for v in self._values],
            mask=memory.mask.new_zeros(len(memory.mask), num_beams, slots),
        )
        self._end = self._length
        self._rotations = rotations_ahead(memory, config, max_tokens, dtype)

    @property
    def rotation(self) -> Rotation:
        """That of the next step, each (B, 1, 1, E)."""
        at = self._own.steps
        return Rotation(*(table[:, at : at + 1] for table in self._rotations))

    def advance(self, parents: Tensor) -> Tensor:
        """Make room for one token a beam and return what each looks at.

        Args:
            parents: (B, K) int64, the beam of the step before that each beam continues.

        Returns:
            (B, K, M + slots), from ``additive_mask``.
        """
        own = self._own.advance(parents)[:, 0]
        self._end = self._length + own.shape[2]
        return torch.cat([self._past, own], dim=2)

    def write(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store one token a beam, (B, J, K, E) each, and return all keys and values so far."""
        self._own.write(layer, k, v)
        return self._keys[layer][:, :, : self._end], self._values[layer][:, :, : self._end]

    def close(self) -> None:
        """Count the tokens of this step as written, after the last layer."""
        self._own.close()


class StaticPrefix(StaticCache):
    """The memory of searches of fixed sizes; what was read stands before the slots here too."""

    def __init__(self, sizes: StaticSizes, config: CausalConfig, *, like: Tensor) -> None:
        heads = Heads(config.num_layers, config.num_kv_heads, config.head_dim)
        super().__init__(sizes, heads, like=like, before=sizes.length)
        self._config = config
        shape = (sizes.rows, sizes.max_tokens, 1, config.head_dim)
        self._rotations = Rotation(like.new_zeros(shape), like.new_zeros(shape))

    @property
    def rotation(self) -> Rotation:
        """That of the next step, each (B, 1, 1, E)."""
        return Rotation(*(table.index_select(1, self.steps) for table in self._rotations))

    def advance(self, parents: Tensor) -> Tensor:
        """Do what ``CausalCache.advance`` does."""
        return super().advance(parents)[:, 0]

    def begin(self, memory: CausalMemory) -> None:
        """Begin a search for rows that were read, of which there may be fewer than it has."""
        self.clear()
        for buffers, tensors in ((self.keys, memory.keys), (self.values, memory.values)):
            for buffer, tensor in zip(buffers, tensors, strict=True):
                put(buffer, tensor)
        self.look_before(widened(memory.mask, self.sizes))
        dtype = self.keys[0].dtype
        ahead = rotations_ahead(memory, self._config, self.sizes.max_tokens, dtype)
        for table, rotation in zip(self._rotations, ahead, strict=True):
            table[: len(rotation)] = rotation


def rotations_ahead(
    memory: CausalMemory, config: CausalConfig, max_tokens: int, dtype: torch.dtype
) -> Rotation:
    """Return the rotation of every step of a search, each (B, T, 1, E)."""
    ahead = memory.next_position[:, None] + torch.arange(max_tokens, device=memory.mask.device)
    return rotation_at(ahead, config, dtype)


def _with_room(past: Tensor, slots: int) -> Tensor:
    """Copy keys or values (B, J, M, E) to the beginning of (B, J, M + slots, E)."""
    return F.pad(past, (0, 0, 0, slots))
