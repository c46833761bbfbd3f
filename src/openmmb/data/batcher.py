"""From examples to batches: their controls, their tokens, the image vectors of their pictures.

Sizes: S context tokens, T reply tokens, I image vectors, F features in each.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from torch import Tensor

from openmmb.data.batch import Batch, Shard, collate
from openmmb.data.buckets import buckets
from openmmb.data.controls import Controls
from openmmb.data.draw import pick
from openmmb.data.encode import EncodeConfig, Encoded, choose_objects, encode
from openmmb.data.example import Example
from openmmb.text.tokenizer import Tokenizer

ImageVectors = Callable[[str], Tensor]
"""Image id -> (I, F)."""
ObjectWords = Callable[[str], Sequence[tuple[str, float]]]
"""Image id -> names of what the picture encoder recognises and their probabilities, likeliest
first."""


@dataclass(frozen=True, slots=True)
class Row:
    """What an example puts into a batch.

    Attributes:
        encoded: Its tokens.
        view: Which of the batcher's views shows its picture.
    """

    encoded: Encoded
    view: int


@dataclass(frozen=True)
class Batcher:
    """Make batches out of examples.

    Attributes:
        tokenizer: Words to ids.
        config: Lengths and layout.
        controls: What is added to each example.
        views: Ways to look up a picture's image vectors, the picture itself and, if there is
            one, its mirror image; each epoch of an example draws one.
        image_shape: (I, F).
        object_words: What is recognised in a picture; None: nothing is looked up.
    """

    tokenizer: Tokenizer
    config: EncodeConfig
    controls: Controls
    views: tuple[ImageVectors, ...]
    image_shape: tuple[int, int]
    object_words: ObjectWords | None = None

    @property
    def learns_all_captions(self) -> bool:
        """Whether all captions of a picture are learnt behind one reading of it."""
        return self.config.layout == "turns"

    def row(self, example: Example, epoch: int) -> Row:
        """Encode an example as it is in an epoch, with its controls."""
        view = 0
        if example.image_id is not None:
            key = (self.controls.seed, epoch, example.task, example.conversation)
            view = pick(len(self.views), "view", *key)
        return Row(self.encode(self.controls.apply(self.recognise(example), epoch)), view)

    def recognise(self, example: Example) -> Example:
        """Return the example with what is recognised in its picture."""
        if self.object_words is None or example.image_id is None:
            return example
        objects = choose_objects(self.object_words(example.image_id), self.config)
        return replace(example, objects=objects)

    def encode(self, example: Example) -> Encoded:
        """Encode an example as it is."""
        return encode(example, self._remembering, self.config)

    def collate(self, rows: Sequence[Row]) -> Batch:
        """Look up the rows' pictures and pad all to a batch."""
        return self.shard(rows, rank=0, world_size=1).rows

    def shard(self, rows: Sequence[Row], *, rank: int, world_size: int) -> Shard[Batch]:
        """Make what process ``rank`` of ``world_size`` gets of a batch, as ``batch.shard`` would.

        Of the other rows only the lengths are looked at: what takes time is to read image vectors,
        100 times 2048 numbers for each picture of Multi-Modal BlenderBot.
        """
        lengths = self._lengths(rows)
        context, reply, images = lengths.max(axis=0, initial=0).clip((1, 1, 0)).tolist()
        counts = rank < len(rows)
        own = rows[rank::world_size] if counts else rows[:1]
        batch = collate(
            [row.encoded for row in own],
            [self._image(row) for row in own],
            pad_id=self.tokenizer.pad_id,
            image_shape=self.image_shape,
            least=(context, reply, images),
        )
        return Shard(
            rows=batch,
            counts=counts,
            tokens=int(lengths[:, :2].sum()),
            positions=len(rows) * (context + reply),
        )

    def group(self, rows: Sequence[Row], size: int) -> list[npt.NDArray[np.int64]]:
        """Part rows into groups of ``size`` that pad little; return the indices of each."""
        return list(buckets(self._lengths(rows), size))

    def batches(
        self, rows: Sequence[Row], *, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> Iterator[Shard[Batch]]:
        """Yield what process ``rank`` of ``world_size`` gets of all rows, similar lengths together.

        The order is not that of the rows.
        """
        for group in self.group(rows, batch_size):
            yield self.shard([rows[at] for at in group], rank=rank, world_size=world_size)

    def _lengths(self, rows: Sequence[Row]) -> npt.NDArray[np.int64]:
        """(rows, 3): tokens of context and reply, and image vectors."""
        count = self.image_shape[0]
        lengths = [
            (len(row.encoded.context), len(row.encoded.reply), count * _has_image(row))
            for row in rows
        ]
        return np.array(lengths, dtype=np.int64).reshape(-1, 3)

    def _image(self, row: Row) -> Tensor | None:
        image_id = row.encoded.image_id
        return None if image_id is None else self.views[row.view](image_id)

    @cached_property
    def _remembering(self) -> Tokenizer:
        return self.tokenizer.remembering()


def _has_image(row: Row) -> bool:
    return row.encoded.image_id is not None
