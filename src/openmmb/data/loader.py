"""From step numbers to batches, ready for the network.

Sizes: S context tokens, T reply tokens, I image vectors, F features in each.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock

import numpy as np
import numpy.typing as npt
from torch import Tensor

from openmmb.data.batch import Batch, Part, collate
from openmmb.data.buckets import buckets
from openmmb.data.controls import Controls
from openmmb.data.draw import pick
from openmmb.data.encode import EncodeConfig, Encoded, encode
from openmmb.data.example import Example
from openmmb.data.known import KnownTexts
from openmmb.data.mixture import Mixture, Window
from openmmb.text.tokenizer import Tokenizer

ImageVectors = Callable[[str], Tensor]
"""Image id -> (I, F)."""


@dataclass(frozen=True, slots=True)
class Row:
    """What an example puts into a batch.

    Attributes:
        encoded: Its tokens.
        view: Which of the encoder's views shows its picture.
    """

    encoded: Encoded
    view: int


@dataclass(frozen=True)
class Encoder:
    """Make batches out of examples.

    Attributes:
        tokenizer: Words to ids.
        config: Lengths.
        controls: What is added to each example.
        views: Ways to look up a picture's image vectors, the picture itself and, if there is
            one, its mirror image; each epoch of an example draws one.
        image_shape: (I, F).
    """

    tokenizer: Tokenizer
    config: EncodeConfig
    controls: Controls
    views: tuple[ImageVectors, ...]
    image_shape: tuple[int, int]

    def batch(self, examples: Sequence[tuple[Example, int]]) -> Batch:
        """Encode examples, each with its epoch, side by side."""
        return self.collate([self.row(example, epoch) for example, epoch in examples])

    def row(self, example: Example, epoch: int) -> Row:
        """Encode an example as it is in an epoch."""
        view = 0
        if example.image_id is not None:
            key = (self.controls.seed, epoch, example.task, example.conversation)
            view = pick(len(self.views), "view", *key)
        steered = self.controls.apply(example, epoch)
        return Row(encode(steered, self._known, self.config), view)

    def collate(self, rows: Sequence[Row]) -> Batch:
        """Look up the rows' pictures and pad all to a batch."""
        return self.part(rows, rank=0, ranks=1).rows

    def part(self, rows: Sequence[Row], *, rank: int, ranks: int) -> Part[Batch]:
        """Make what process ``rank`` of ``ranks`` gets of a batch, as ``local_rows`` deals it out.

        Of the other rows only the lengths are looked at: what is dear is to read image vectors,
        100 times 2048 numbers for each picture of Multi-Modal BlenderBot.
        """
        lengths = self._lengths(rows)
        context, reply, images = lengths.max(axis=0, initial=0).clip((1, 1, 0)).tolist()
        some = rank < len(rows)
        mine = rows[rank::ranks] if some else rows[:1]
        batch = collate(
            [row.encoded for row in mine],
            [self._image(row) for row in mine],
            pad_id=self.tokenizer.pad_id,
            image_shape=self.image_shape,
            least=(context, reply, images),
        )
        return Part(
            rows=batch,
            counts=some,
            tokens=int(lengths[:, :2].sum()),
            places=len(rows) * (context + reply),
        )

    def group(self, rows: Sequence[Row], size: int) -> list[npt.NDArray[np.int64]]:
        """Part rows into groups of ``size`` that pad little; return the places of each."""
        return list(buckets(self._lengths(rows), size))

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
    def _known(self) -> KnownTexts:
        return KnownTexts(self.tokenizer)


class Loader:
    """The batches of a training run, each a pure function of its step; safe in threads.

    A window of batches is tokenised as a whole, since which rows are padded together depends on the
    lengths of all. So that no batch takes much longer than another, each one made also tokenises a
    part of the next window. Pictures are looked up, and rows padded, by the batch.

    Args:
        tasks: The examples of each task.
        mixture: Which of them make which window.
        encoder: How they become batches.
    """

    def __init__(
        self, tasks: tuple[Sequence[Example], ...], mixture: Mixture, encoder: Encoder
    ) -> None:
        self.tasks = tasks
        self.mixture = mixture
        self.encoder = encoder
        self._lock = Lock()
        self._rows: dict[int, list[Row]] = {}
        self._batches: dict[int, list[npt.NDArray[np.int64]]] = {}

    def batch(self, step: int) -> Batch:
        """Return the batch of ``step``, counted from 0."""
        return self.part(step, rank=0, ranks=1).rows

    def part(self, step: int, *, rank: int, ranks: int) -> Part[Batch]:
        """Return what process ``rank`` of ``ranks`` gets of the batch of ``step``."""
        window = self.mixture.window_of(step)
        place = step - window.start
        with self._lock:
            self._forget(window.number)
            rows = self._encode(window, 1.0)
            if window.number not in self._batches:
                self._batches[window.number] = self._divide(rows, window.number)
            mine = self._batches[window.number][place]
            self._encode(self.mixture.window(window.number + 1), (place + 1) / window.size)
        return self.encoder.part([rows[at] for at in mine], rank=rank, ranks=ranks)

    def _encode(self, window: Window, share: float) -> list[Row]:
        """Return at least the first ``share`` of a window's rows; encode what is not there yet."""
        rows = self._rows.setdefault(window.number, [])
        count = round(share * window.size * self.mixture.batch_size)
        for task, index, epoch in self.mixture.draws(window)[len(rows) : count].tolist():
            rows.append(self.encoder.row(one_caption(self.tasks[task][index], epoch), epoch))
        return rows

    def _divide(self, rows: Sequence[Row], window: int) -> list[npt.NDArray[np.int64]]:
        """Make batches out of a window's rows, in random order."""
        groups = self.encoder.group(rows, self.mixture.batch_size)
        order = np.random.default_rng([self.mixture.seed, window, 1]).permutation(len(groups))
        return [groups[at] for at in order]

    def _forget(self, window: int) -> None:
        """Drop the windows that neither this one nor the next one is."""
        for kept in (self._rows, self._batches):
            for number in [number for number in kept if not window - 1 <= number <= window + 1]:
                del kept[number]


def one_caption(example: Example, epoch: int) -> Example:
    """Where several replies are as good, take another one each epoch."""
    if not example.references:
        return example
    replies = (example.reply, *example.references)
    offset = pick(len(replies), "caption", example.task, example.conversation)
    return replace(example, reply=replies[(epoch + offset) % len(replies)])


def in_order(
    examples: Sequence[Example], encoder: Encoder, *, batch_size: int, rank: int, ranks: int
) -> Iterator[Part[Batch]]:
    """Batch examples for evaluation, similar lengths together; controls are those of epoch 0.

    Yields what process ``rank`` of ``ranks`` gets of each batch.
    """
    rows = [encoder.row(example, 0) for example in examples]
    for group in encoder.group(rows, batch_size):
        yield encoder.part([rows[at] for at in group], rank=rank, ranks=ranks)


def with_following(examples: Iterable[Example]) -> Iterator[Example]:
    """Let every example write on to the end of its conversation.

    Examples of a conversation must come together, in its order, each one turn on from the last.
    """
    conversation: list[Example] = []
    for example in examples:
        if conversation and conversation[0].conversation != example.conversation:
            yield from _followed(conversation)
            conversation = []
        conversation.append(example)
    yield from _followed(conversation)


def _followed(conversation: Sequence[Example]) -> Iterator[Example]:
    if not conversation:
        return
    turns = (*conversation[-1].context, conversation[-1].reply)
    for example in conversation:
        yield replace(example, following=turns[len(example.context) + 1 :])


def _has_image(row: Row) -> bool:
    return row.encoded.image_id is not None
