"""Token ids and image vectors, padded to rectangles.

Sizes: B examples, S context tokens, T reply tokens, I image vectors (0 where no row has a
picture), F features in each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from openmmb.data.encode import Encoded

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples side by side.

    Attributes:
        context: (B, S) int64, padded on the right.
        context_mask: (B, S) bool, True at real tokens.
        reply: (B, T) int64, padded on the right.
        reply_mask: (B, T) bool, True at real tokens.
        image: (B, I, F) float; zeros where an example has no picture.
        has_image: (B,) bool.
    """

    context: Tensor
    context_mask: Tensor
    reply: Tensor
    reply_mask: Tensor
    image: Tensor
    has_image: Tensor

    def __len__(self) -> int:
        return len(self.context)

    @property
    def num_tokens(self) -> int:
        """Tokens of contexts and replies."""
        return int(self.context_mask.sum() + self.reply_mask.sum())

    @property
    def num_places(self) -> int:
        """Places for tokens, filled or padded: B * (S + T)."""
        return self.context.numel() + self.reply.numel()

    def to(self, device: torch.device) -> "Batch":
        """Copy every tensor to ``device``."""
        moved = {f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)}
        return Batch(**moved)


@dataclass(frozen=True, slots=True)
class Part(Generic[R]):
    """What one of several processes gets of a batch.

    Attributes:
        rows: Every so many-th row, padded as the whole batch is.
        counts: False for a process that the batch has no row for; it has the first one then.
        tokens: Of the contexts and replies of the whole batch; 0 where nobody counts them.
        places: For these tokens, filled or padded.
    """

    rows: R
    counts: bool = True
    tokens: int = 0
    places: int = 0


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
        least: S, T and I, if these rows need no more: those of the batch that they are a part of.

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
    count = image_shape[0] if any(image is not None for image in images) else least[2]
    stacked = torch.empty(len(rows), count, image_shape[1])
    for place, image in enumerate(images):
        stacked[place] = 0.0 if image is None else image
    return Batch(
        context=context,
        context_mask=context_mask,
        reply=reply,
        reply_mask=reply_mask,
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
    """Return the share of the places for tokens, of contexts and replies together, left empty."""
    tokens, places = 0, 0
    for batch in batches:
        tokens, places = tokens + batch.num_tokens, places + batch.num_places
    return 1 - tokens / max(1, places)
