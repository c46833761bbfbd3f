"""Token ids and image vectors, padded to rectangles.

Sizes: B examples, S context tokens, T reply tokens, I image vectors (0 where no row has a
picture), F features in each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from openmmb.data.encode import Encoded


class Rows(Protocol):
    """A dataclass of tensors, each with the rows of a batch as its first size."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def to(self, device: torch.device) -> Self:
        """Copy every tensor to ``device``."""
        ...


R = TypeVar("R")
D = TypeVar("D", bound=Rows)


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples side by side.

    Attributes:
        context: (B, S) int64, padded on the right.
        context_mask: (B, S) bool, True at real tokens.
        reply: (B, T) int64, padded on the right.
        reply_mask: (B, T) bool, True at real tokens.
        target_mask: (B, T) bool, True at the tokens of the reply that are to be predicted.
        blocks: (B, T) int64, for each token of the reply the number of the reply that it is a
            token of, where a context has several side by side; otherwise 0.
        image: (B, I, F) float; zeros where an example has no picture.
        has_image: (B,) bool.
    """

    context: Tensor
    context_mask: Tensor
    reply: Tensor
    reply_mask: Tensor
    target_mask: Tensor
    blocks: Tensor
    image: Tensor
    has_image: Tensor

    def __len__(self) -> int:
        return len(self.context)

    @property
    def num_tokens(self) -> int:
        """Tokens of contexts and replies."""
        return int(self.context_mask.sum() + self.reply_mask.sum())

    @property
    def num_positions(self) -> int:
        """Positions of tokens, filled or padded: B * (S + T)."""
        return self.context.numel() + self.reply.numel()

    @property
    def side_by_side(self) -> Tensor | None:
        """``blocks``, or None where every context has one reply."""
        return self.blocks if bool(self.blocks.any()) else None

    def to(self, device: torch.device) -> "Batch":
        """Copy every tensor to ``device``."""
        moved = {f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)}
        return Batch(**moved)


@dataclass(frozen=True, slots=True)
class Shard(Generic[R]):
    """One process's rows of a batch: those numbered ``rank``, ``rank + world_size`` and so on.

    Attributes:
        rows: Padded as the whole batch is. A process for which the batch has no row gets the first
            one, since every process must run the network equally often.
        counts: False for a process that got a row that is not its own.
        tokens: Tokens in contexts and replies of the whole batch; 0 where nobody counts them.
        positions: Positions of these tokens, filled or padded.
    """

    rows: R
    counts: bool = True
    tokens: int = 0
    positions: int = 0


def shard(batch: D, *, rank: int, world_size: int) -> Shard[D]:
    """Return the rows of a batch that process ``rank`` of ``world_size`` gets."""
    tensors = {f.name: getattr(batch, f.name) for f in fields(batch)}
    counts = all(len(tensor) > rank for tensor in tensors.values())
    rows = slice(rank, None, world_size) if counts else slice(1)
    return Shard(replace(batch, **{name: t[rows] for name, t in tensors.items()}), counts)


def collate(
    rows: Sequence[Encoded],
    images: Sequence[Tensor | None],
    *,
    pad_id: int,
    image_shape: tuple[int, int],
    least: tuple[int, int, int] = (1, 1, 0),
) -> Batch:
    """Pad rows into a batch.

    Args:
        rows: At least one.
        images: For each row its image vectors (I, F), or None.
        pad_id: Fills the right of short rows.
        image_shape: (I, F) of every picture.
        least: S, T and I, if these rows need no more: those of the batch that they are a shard of.

    Raises:
        ValueError: There are no rows, not as many images, or a picture is not of ``image_shape``.
    """
    if not rows:
        raise ValueError("cannot collate zero rows")
    if len(images) != len(rows):
        raise ValueError(f"{len(images)} images for {len(rows)} rows")
    for image in images:
        if image is not None and tuple(image.shape) != image_shape:
            raise ValueError(f"image is {tuple(image.shape)}, expected {image_shape}")
    context, context_mask = pad([row.context for row in rows], pad_id, least[0])
    reply, reply_mask = pad([row.reply for row in rows], pad_id, least[1])
    targets, _ = pad([row.targets or [True] * len(row.reply) for row in rows], 0, least[1])
    blocks, _ = pad([row.blocks or [0] * len(row.reply) for row in rows], 0, least[1])
    count = image_shape[0] if any(image is not None for image in images) else least[2]
    stacked = torch.empty(len(rows), count, image_shape[1])
    for row, image in enumerate(images):
        stacked[row] = 0.0 if image is None else image
    return Batch(
        context=context,
        context_mask=context_mask,
        reply=reply,
        reply_mask=reply_mask,
        target_mask=targets.bool(),
        blocks=blocks,
        image=stacked,
        has_image=torch.tensor([image is not None for image in images]),
    )


def pad(rows: Sequence[Sequence[int]], pad_id: int, least: int = 1) -> tuple[Tensor, Tensor]:
    """Return ids (B, longest, at least ``least``) padded on the right, and their mask."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    mask = np.arange(lengths.max(initial=least)) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = np.fromiter(chain.from_iterable(rows), np.int64, count=lengths.sum())
    return torch.from_numpy(ids), torch.from_numpy(mask)


def padding(batches: Iterable[Batch]) -> float:
    """Return the share of the positions, in contexts and replies together, that is padding."""
    tokens, positions = 0, 0
    for batch in batches:
        tokens, positions = tokens + batch.num_tokens, positions + batch.num_positions
    return 1 - tokens / max(1, positions)
