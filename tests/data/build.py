"""Examples, their pictures and a batcher, for the tests of this folder."""

from collections.abc import Sequence

import torch
from torch import Tensor

from openmmb.data.batch import Batch
from openmmb.data.batcher import Batcher, ImageVectors, Row
from openmmb.data.controls import Controls, ControlsConfig
from openmmb.data.encode import EncodeConfig
from openmmb.data.example import Example
from tests.build import TINY_F, TINY_I, tiny_example, tiny_tokenizer

NAMES = ("context", "context_mask", "reply", "reply_mask", "image", "has_image")


def vectors(image_id: str) -> Tensor:
    return torch.full((TINY_I, TINY_F), float(image_id))


def mirrored(image_id: str) -> Tensor:
    return -vectors(image_id)


def batcher(
    *, views: tuple[ImageVectors, ...] = (vectors,), config: ControlsConfig | None = None
) -> Batcher:
    return Batcher(
        tokenizer=tiny_tokenizer(),
        config=EncodeConfig(),
        controls=Controls(config=config or ControlsConfig(), polarities={}, seed=0),
        views=views,
        image_shape=(TINY_I, TINY_F),
    )


def caption(number: int) -> Example:
    return tiny_example(
        context=(),
        reply=f"{number} dogs",
        image_id=str(number),
        references=(f"{number} cats", f"{number} boats"),
        conversation=str(number),
    )


def replies(batch: Batch) -> list[str]:
    return [tiny_tokenizer().decode(ids) for ids in batch.reply.tolist()]


def equal(one: Batch, other: Batch) -> bool:
    return all(getattr(one, name).equal(getattr(other, name)) for name in NAMES)


def first_epoch(examples: Sequence[Example], by: Batcher) -> list[Row]:
    return [by.row(example, 0) for example in examples]


def in_batches(
    examples: Sequence[Example], by: Batcher | None = None, *, batch_size: int
) -> list[Batch]:
    maker = by or batcher()
    shards = maker.batches(first_epoch(examples, maker), batch_size=batch_size)
    return [shard.rows for shard in shards]


def slow_shard(batch: Batch, rank: int, world_size: int) -> tuple[dict[str, Tensor], bool]:
    """The plain twin: make all of the batch, and take every so many-th row."""
    mine = list(range(rank, len(batch), world_size))
    return {name: getattr(batch, name)[mine or [0]] for name in NAMES}, bool(mine)
