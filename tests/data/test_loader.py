"""Steps become batches of the examples, controls and pictures that their draws name."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from openmmb.data.batch import Batch, padding
from openmmb.data.batcher import Batcher, ImageVectors, Row
from openmmb.data.controls import Controls, ControlsConfig
from openmmb.data.encode import EncodeConfig, Encoded
from openmmb.data.example import Example, one_caption, with_following
from openmmb.data.loader import Loader
from openmmb.data.sampler import Sampler
from tests.build import SENTENCES, TINY_F, TINY_I, tiny_example, tiny_tokenizer

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


def loader(*, views: tuple[ImageVectors, ...] = (vectors,)) -> Loader:
    text = [tiny_example(reply=sentence, conversation=sentence) for sentence in SENTENCES]
    pictures = [caption(number) for number in range(1, 11)]
    sampler = Sampler(
        examples=(text, pictures),
        weights=(1.0, 1.0),
        batch_size=4,
        seed=0,
    )
    return Loader(tasks=(text, pictures), sampler=sampler, batcher=batcher(views=views))


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


@given(st.permutations(range(12)))
def test_a_batch_is_decided_by_its_step(order: list[int]) -> None:
    one, other = loader(), loader()
    found = {step: other.batch(step) for step in order}
    assert all(equal(one.batch(step), found[step]) for step in range(12))


def test_threads_see_the_same_batches() -> None:
    alone, shared = loader(), loader()
    wanted = [alone.batch(step) for step in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(shared.batch, range(40)))
    assert all(equal(one, other) for one, other in zip(found, wanted, strict=True))


IDS = st.integers(0, 6).map(lambda count: tuple(range(1, count + 1)))
ROWS = st.builds(
    lambda context, reply, image: Row(Encoded(context, reply, image), 0),
    IDS,
    IDS,
    st.none() | st.integers(1, 9).map(str),
)


def slow_shard(batch: Batch, rank: int, world_size: int) -> tuple[dict[str, Tensor], bool]:
    """The plain twin: make all of the batch, and take every so many-th row."""
    mine = list(range(rank, len(batch), world_size))
    return {name: getattr(batch, name)[mine or [0]] for name in NAMES}, bool(mine)


@given(st.lists(ROWS, min_size=1, max_size=9), st.integers(1, 6))
def test_a_shard_equals_its_rows_of_the_whole(rows: list[Row], world_size: int) -> None:
    whole = batcher().collate(rows)
    for rank in range(world_size):
        shard = batcher().shard(rows, rank=rank, world_size=world_size)
        expected, counts = slow_shard(whole, rank, world_size)
        assert all(getattr(shard.rows, name).equal(expected[name]) for name in NAMES)
        assert shard.counts == counts
        assert (shard.tokens, shard.positions) == (whole.num_tokens, whole.num_positions)


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_the_shards_of_all_are_the_batch_whatever_their_number(world_size: int) -> None:
    whole, sharded = loader(), [loader() for _ in range(world_size)]
    for step in range(12):
        batch, shards = whole.batch(step), []
        for rank, source in enumerate(sharded):
            shards.append(source.shard(step, rank=rank, world_size=world_size))
        assert all(shard.counts for shard in shards)
        for name in NAMES:
            together = torch.empty_like(getattr(batch, name))
            for rank, shard in enumerate(shards):
                together[rank::world_size] = getattr(shard.rows, name)
            assert together.equal(getattr(batch, name))


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


class Counted(list[Example]):
    """Examples that count how often one is taken."""

    taken = 0

    def __getitem__(self, at: Any) -> Any:
        self.taken += 1
        return super().__getitem__(at)


def test_after_the_first_batch_every_one_costs_alike() -> None:
    """Each also encodes its share of the next window, so that none waits for a whole one."""
    examples = Counted(tiny_example(reply=f"{number} boats") for number in range(800))
    sampler = Sampler(examples=(examples,), weights=(1.0,), batch_size=4, seed=0)
    source = Loader(tasks=(examples,), sampler=sampler, batcher=batcher())
    taken = []
    for step in range(300):
        before = examples.taken
        source.batch(step)
        taken.append(examples.taken - before)
    assert taken == [4 * sampler.window(0).size + 4, *[4] * 299]


def test_what_is_past_is_forgotten() -> None:
    source = loader()
    for step in range(20):
        source.batch(step)
    assert len(source._rows) <= 3
    assert len(source._batches) <= 2


def test_batches_hold_examples_of_like_length() -> None:
    examples = [
        tiny_example(context=("ha " * (number % 23),), reply="ho " * (number % 29))
        for number in range(800)
    ]
    sampler = Sampler(examples=(examples,), weights=(1.0,), batch_size=4, seed=0)
    source = Loader(tasks=(examples,), sampler=sampler, batcher=batcher())
    batches = [source.batch(step) for step in range(source.sampler.steps_per_epoch)]
    assert padding(batches) < 0.1
    assert padding(in_batches(examples, batch_size=4)) < 0.1
    longest = [batch.reply.shape[1] for batch in batches]
    assert longest != sorted(longest)


def test_an_epoch_has_every_example_and_each_picture_its_own_vectors() -> None:
    source = loader()
    said: Counter[str] = Counter()
    for step in range(source.sampler.steps_per_epoch):
        batch = source.batch(step)
        for reply, has_image, image in zip(
            replies(batch), batch.has_image, batch.image, strict=True
        ):
            said[reply.split()[0] if has_image else reply] += 1
            if has_image:
                assert image.equal(vectors(reply.split()[0]))
    assert said == Counter([*SENTENCES, *map(str, range(1, 11))])


def test_a_picture_is_seen_either_way() -> None:
    source = loader(views=(vectors, mirrored))
    seen: Counter[float] = Counter()
    for step in range(20 * source.sampler.steps_per_epoch):
        batch = source.batch(step)
        seen.update(image.sign().mean().item() for image in batch.image[batch.has_image])
    assert sum(seen.values()) == 200
    assert seen[1.0] == pytest.approx(100, abs=30)


@given(st.integers(1, 99), st.integers(0, 5))
def test_captions_take_turns_from_pass_to_pass(number: int, start: int) -> None:
    example = caption(number)
    taken = [one_caption(example, epoch).reply for epoch in range(start, start + 3)]
    assert sorted(taken) == sorted([example.reply, *example.references])
    assert one_caption(example, start + 3).reply == taken[0]


def test_not_every_picture_starts_with_its_first_caption() -> None:
    firsts = {one_caption(caption(number), 0).reply.split()[1] for number in range(30)}
    assert firsts == {"dogs", "cats", "boats"}


def test_a_reply_without_others_stays() -> None:
    assert one_caption(tiny_example(), 7) == tiny_example()


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


def slow_following(examples: Sequence[Example]) -> list[tuple[str, ...]]:
    """The plain twin: the replies after this one in its conversation."""
    return [
        tuple(
            other.reply
            for other in examples[at + 1 :]
            if other.conversation == example.conversation
        )
        for at, example in enumerate(examples)
    ]


@given(st.lists(st.integers(1, 5), max_size=4), st.integers(0, 2))
def test_each_reply_is_followed_by_the_rest_of_its_conversation(
    turns: list[int], opening: int
) -> None:
    said = [tuple(f"{number}.{turn}" for turn in range(9)) for number in range(len(turns))]
    examples = [
        tiny_example(
            context=said[number][: opening + turn],
            reply=said[number][opening + turn],
            conversation=str(number),
        )
        for number, count in enumerate(turns)
        for turn in range(count)
    ]
    found = list(with_following(examples))
    assert [replace(example, following=()) for example in found] == examples
    assert [example.following for example in found] == slow_following(examples)


def test_where_one_speaker_is_learnt_the_other_still_speaks_on() -> None:
    said = ("a", "b", "c", "d")
    examples = [tiny_example(context=said[:at], reply=said[at]) for at in (1, 3)]
    assert [example.following for example in with_following(examples)] == [("c", "d"), ()]
