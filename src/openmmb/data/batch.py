"""Token ids and image vectors, padded to rectangles.

Sizes: B examples, S context tokens, T reply tokens, I image vectors (0 where no row has a
picture), F features in each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from openmmb.data.encode import Encoded


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

    def to(self, device: torch.device) -> "Batch":
        """Copy every tensor to ``device``."""
        moved = {f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)}
        return Batch(**moved)


def collate(
    rows: Sequence[Encoded],
    images: Sequence[Tensor | None],
    *,
    pad_id: int,
    image_shape: tuple[int, int],
) -> Batch:
    """Pad rows into a batch.

    Args:
        rows: At least one.
        images: For each row its image vectors (I, F), or None.
        pad_id: Fills the right of short rows.
        image_shape: (I, F) of every picture.

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
    context, context_mask = pad([row.context for row in rows], pad_id)
    reply, reply_mask = pad([row.reply for row in rows], pad_id)
    count = image_shape[0] if any(image is not None for image in images) else 0
    stacked = torch.zeros(len(rows), count, image_shape[1])
    for place, image in enumerate(images):
        if image is not None:
            stacked[place] = image
    return Batch(
        context=context,
        context_mask=context_mask,
        reply=reply,
        reply_mask=reply_mask,
        image=stacked,
        has_image=torch.tensor([image is not None for image in images]),
    )


def pad(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Return ids (B, longest, at least 1) padded on the right, and their mask."""
    longest = max([1, *map(len, rows)])
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row, dtype=torch.int64)
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(longest) < lengths[:, None]
