"""Rows become batches, whole or a shard for each process, with their pictures."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from openmmb.data.batcher import Row
from openmmb.data.controls import ControlsConfig
from openmmb.data.encode import EncodeConfig, Encoded
from tests.build import SENTENCES, tiny_example
from tests.data.build import (
    NAMES,
    batcher,
    caption,
    equal,
    first_epoch,
    in_batches,
    replies,
    slow_shard,
    vectors,
)

IDS = st.integers(0, 6).map(lambda count: tuple(range(1, count + 1)))


ROWS = st.builds(
    lambda context, reply, image: Row(Encoded(context, reply, image), 0),
    IDS,
    IDS,
    st.none() | st.integers(1, 9).map(str),
)


@given(st.lists(ROWS, min_size=1, max_size=9), st.integers(1, 6))
def test_a_shard_equals_its_rows_of_the_whole(rows: list[Row], world_size: int) -> None:
    whole = batcher().collate(rows)
    for rank in range(world_size):
        shard = batcher().shard(rows, rank=rank, world_size=world_size)
        expected, counts = slow_shard(whole, rank, world_size)
        assert all(getattr(shard.rows, name).equal(expected[name]) for name in NAMES)
        assert shard.counts == counts
        assert (shard.tokens, shard.positions) == (whole.num_tokens, whole.num_positions)


def test_a_shard_reads_the_pictures_of_its_rows_alone() -> None:
    read: list[str] = []

    def reading(image_id: str) -> Tensor:
        read.append(image_id)
        return vectors(image_id)

    rows = [Row(Encoded((1,), (2,), str(number)), 0) for number in range(1, 8)]
    batcher(views=(reading,)).shard(rows, rank=1, world_size=3)
    assert read == ["2", "5"]


def test_shards_of_an_evaluation_are_those_of_its_batches() -> None:
    examples = [caption(number) for number in range(1, 8)]
    for rank in range(2):
        shards = batcher().batches(
            first_epoch(examples, batcher()), batch_size=3, rank=rank, world_size=2
        )
        batches = in_batches(examples, batch_size=3)
        for shard, batch in zip(shards, batches, strict=True):
            expected, counts = slow_shard(batch, rank, 2)
            assert shard.rows.image.equal(expected["image"])
            assert shard.rows.reply.equal(expected["reply"])
            assert shard.counts == counts


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_evaluation_covers_every_example_once(batch_size: int) -> None:
    examples = [tiny_example(reply=sentence) for sentence in SENTENCES] + [
        replace(caption(number), references=()) for number in range(1, 6)
    ]
    batches = in_batches(examples, batch_size=batch_size)
    assert all(len(batch) <= batch_size for batch in batches)
    said = [reply for batch in batches for reply in replies(batch)]
    assert sorted(said) == sorted(example.reply for example in examples)


def test_evaluation_has_the_controls_of_the_first_epoch() -> None:
    config = ControlsConfig(question_frac=0.5)
    (batch,) = in_batches([caption(3)], batcher(config=config), batch_size=2)
    assert equal(batch, batcher(config=config).collate([batcher(config=config).row(caption(3), 0)]))


def test_evaluation_of_nothing_is_nothing() -> None:
    assert in_batches([], batch_size=2) == []


def test_what_is_recognised_in_a_picture_joins_its_examples() -> None:
    config = EncodeConfig(layout="turns", object_words=1)
    seeing = replace(batcher(), config=config, object_words=lambda name: [(f"ox {name}", 0.5)])
    picture = tiny_example(image_id="7")
    assert seeing.recognise(picture).objects == ("ox 7",)
    assert seeing.recognise(tiny_example()).objects == ()
    assert batcher().recognise(picture) == picture
