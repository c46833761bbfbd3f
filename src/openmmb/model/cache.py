"""Keys and values of replies that a search is writing, one buffer an input.

All beams of an input write into the same buffer; each beam knows by a mask which slots are its
own past. Following another beam then means copying a row of that mask: no key ever moves, except
when slots that no beam needs any more are closed up.

Sizes: B inputs, K beams each, M encoder states, H heads, E width of a head, C slots.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from openmmb.model.attention import additive_mask

COMPACT_EVERY = 4
"""Steps between two looks for dead slots."""
COMPACT_BELOW = 0.6
"""Share of live slots under which closing up pays for itself."""


@dataclass
class DecoderCache:
    """What a decoder remembers between the steps of one search.

    Attributes:
        cross: For each layer the keys and values of the encoder's states, each (B, H, M, E).
        cross_mask: (B, 1, 1, M), from ``additive_mask``: which states count.
        keys: For each layer (B, H, C, E).
        values: For each layer (B, H, C, E).
        mask: (B, K, C) bool, True at the slots that a beam descends from.
        used: Slots taken so far.
        steps: Steps done so far.
    """

    cross: list[tuple[Tensor, Tensor]]
    cross_mask: Tensor
    keys: list[Tensor]
    values: list[Tensor]
    mask: Tensor
    used: int = 0
    steps: int = 0

    def advance(self, parents: Tensor) -> Tensor:
        """Make room for one token a beam and return what each may look at.

        Args:
            parents: (B, K) int64, the beam of the step before that each beam continues.

        Returns:
            (B, 1, K, slots), from ``additive_mask``; the last K slots are the new tokens'.

        Raises:
            ValueError: There were more steps than the search was begun for.
        """
        beams = self.mask.shape[1]
        index = parents[:, :, None].expand(-1, -1, self.mask.shape[2])
        self.mask = self.mask.gather(1, index)
        if self.steps and self.steps % COMPACT_EVERY == 0:
            self._compact()
        end = self.used + beams
        if end > self.mask.shape[2]:
            raise ValueError(f"step {self.steps + 1} of a search begun for fewer")
        self.mask[:, :, self.used : end] = torch.eye(
            beams, dtype=torch.bool, device=self.mask.device
        )
        self.steps += 1
        return additive_mask(self.mask[:, None, :, :end], self.cross_mask.dtype)

    def write(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store one token a beam, (B, H, K, E) each, and return all keys and values so far."""
        end = self.used + k.shape[2]
        self.keys[layer][:, :, self.used : end] = k
        self.values[layer][:, :, self.used : end] = v
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def close(self) -> None:
        """Count the tokens of this step as written, after the last layer."""
        self.used += self.mask.shape[1]

    def _compact(self) -> None:
        live = self.mask[:, :, : self.used].any(1)  # (B, used)
        most = int(live.sum(1).max())
        if most >= COMPACT_BELOW * self.used:
            return
        # Stable, so that the slots keep their order; rows with fewer live ones keep dead ones.
        order = live.to(torch.int8).sort(dim=1, descending=True, stable=True).indices[:, :most]
        rows = order[:, None, :, None]
        for buffers in (self.keys, self.values):
            for buffer in buffers:
                heads, width = buffer.shape[1], buffer.shape[3]
                buffer[:, :, :most] = buffer.gather(2, rows.expand(-1, heads, -1, width))
        kept = self.mask.gather(2, order[:, None].expand(-1, self.mask.shape[1], -1))
        self.mask.zero_()
        self.mask[:, :, :most] = kept
        self.used = most
