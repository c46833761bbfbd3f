"""Keys and values of a search whose sizes are fixed before it begins, all of them changed in place.

A graphics card replays a recorded step without asking the processor for anything: it finds every
tensor where it was when the step was recorded, and of the same shape. So the slots of all steps are
there from the beginning, which step it is stands in a tensor, and dead slots are not closed up. As
in ``cache`` a beam is a mask: following another one copies a row of it.

Sizes: B inputs, K beams each, T steps, P keys that stand before the beams' own, M encoder states,
of which N are there, H heads, E width of a head.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from openmmb.model.attention import additive_mask


@dataclass(frozen=True, slots=True)
class StaticSizes:
    """What of a search is fixed.

    Attributes:
        rows: B.
        num_beams: K.
        max_tokens: T, most steps that can be taken.
        length: Most that can have been read: encoder states, or picture and context.
    """

    rows: int
    num_beams: int
    max_tokens: int
    length: int


@dataclass(frozen=True, slots=True)
class Heads:
    """The keys and values of a network.

    Attributes:
        layers: How many layers have them.
        count: H.
        width: E.
    """

    layers: int
    count: int
    width: int


class StaticCache:
    """What a decoder remembers between the steps of one search after the other.

    Args:
        sizes: Those of every search that it is used for.
        heads: Those of the network.
        like: A weight of the network, for its precision and device.
        before: P.

    Attributes:
        steps: (1,) int64, steps done so far.
    """

    def __init__(self, sizes: StaticSizes, heads: Heads, *, like: Tensor, before: int = 0) -> None:
        self.sizes = sizes
        rows, beams = sizes.rows, sizes.num_beams
        slots = before + beams * sizes.max_tokens
        shape = (rows, heads.count, slots, heads.width)
        self.keys = [like.new_zeros(shape) for _ in range(heads.layers)]
        self.values = [like.new_zeros(shape) for _ in range(heads.layers)]
        self.steps = torch.zeros(1, dtype=torch.int64, device=like.device)
        self._before = before
        self._end = slots
        self._mask = like.new_full((rows, beams, slots), -torch.inf)
        self._beams = torch.arange(beams, device=like.device)
        self._next = before + self._beams
        itself = torch.eye(beams, dtype=torch.bool, device=like.device)
        self._itself = additive_mask(itself, like.dtype).expand(rows, -1, -1)

    @property
    def num_bytes(self) -> int:
        """What the keys and values of the beams' slots take."""
        return sum(buffer.nbytes for buffer in (*self.keys, *self.values))

    def look_at(self, steps: int) -> None:
        """Let the steps that follow look at the slots of the first ``steps`` only.

        There are no more tokens before that: what is looked at costs time, whether it counts or
        not. It changes shapes, so a recorded step goes on looking at what it did.
        """
        self._end = self._before + steps * self.sizes.num_beams

    def advance(self, parents: Tensor) -> Tensor:
        """Make room for one token a beam and return what each may look at.

        Args:
            parents: (B, K) int64, the beam of the step before that each beam continues.

        Returns:
            (B, 1, K, slots), as from ``additive_mask``.
        """
        mask = self._mask[:, :, : self._end]
        mask.copy_(mask.gather(1, parents[:, :, None].expand_as(mask)))
        mask.index_copy_(2, self._next, self._itself)
        return mask[:, None]

    def write(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store one token a beam, (B, H, K, E) each, and return all keys and values looked at."""
        keys, values = self.keys[layer], self.values[layer]
        keys.index_copy_(2, self._next, k)
        values.index_copy_(2, self._next, v)
        return keys[:, :, : self._end], values[:, :, : self._end]

    def close(self) -> None:
        """Count the tokens of this step as written, after the last layer."""
        self.steps.add_(1)
        self._next.add_(self.sizes.num_beams)

    def clear(self) -> None:
        """Begin again: nothing of an earlier search is left, not even behind a mask."""
        for buffer in (*self.keys, *self.values):
            buffer.zero_()
        self._mask.fill_(-torch.inf)
        self._go_to(0)

    def masks(self) -> Tensor:
        """Return a copy of what each beam looks at, for ``restore``."""
        return self._mask.clone()

    def restore(self, masks: Tensor, steps: int) -> None:
        """Undo the steps since ``masks`` were copied; what they wrote will be written over.

        Args:
            masks: From ``masks``.
            steps: How many were done then.
        """
        self._mask.copy_(masks)
        self._go_to(steps)

    def look_before(self, mask: Tensor) -> None:
        """Let every beam look at those of the first P keys where ``mask`` (B, P) is True."""
        before = additive_mask(mask, self._mask.dtype)
        self._mask[:, :, : self._before] = before[:, None]

    def _go_to(self, steps: int) -> None:
        self.steps.fill_(steps)
        torch.add(self._beams, self._before + steps * self.sizes.num_beams, out=self._next)


class StaticStates(StaticCache):
    """The cache of a decoder that also looks at an encoder's states.

    Attributes:
        cross: For each layer the keys and values of the encoder's states, each (B, H, M, E).
        cross_mask: (B, 1, 1, M), as from ``additive_mask``: which states count.
    """

    def __init__(self, sizes: StaticSizes, heads: Heads, *, like: Tensor) -> None:
        super().__init__(sizes, heads, like=like)
        shape = (sizes.rows, heads.count, sizes.length, heads.width)
        self.cross = [(like.new_zeros(shape), like.new_zeros(shape)) for _ in range(heads.layers)]
        self.cross_mask = like.new_zeros(sizes.rows, 1, 1, sizes.length)

    def begin(self, cross: Iterable[tuple[Tensor, Tensor]], mask: Tensor) -> None:
        """Begin a search.

        Args:
            cross: For each layer keys and values, each (B or fewer, H, N, E).
            mask: (B or fewer, N) bool, True at the states that count.
        """
        self.clear()
        for buffers, pair in zip(self.cross, cross, strict=True):
            for buffer, tensor in zip(buffers, pair, strict=True):
                put(buffer, tensor)
        wide = widened(mask, self.sizes)[:, None, None]
        self.cross_mask.copy_(additive_mask(wide, self.cross_mask.dtype))


def put(buffer: Tensor, tensor: Tensor) -> None:
    """Copy (B or fewer, H, N, E) to the beginning of a buffer (B, H, M or more, E), zeros after."""
    buffer.zero_()
    buffer[: len(tensor), :, : tensor.shape[2]] = tensor


def widened(mask: Tensor, sizes: StaticSizes) -> Tensor:
    """Widen a mask (B or fewer, N) to (B, M); a row that nobody reads looks at the zeros there.

    If it looked at nothing, what is computed for it would be no numbers, and slow ones.
    """
    wide = mask.new_zeros(sizes.rows, sizes.length)
    wide[: len(mask), : mask.shape[1]] = mask
    wide[len(mask) :] = True
    return wide
