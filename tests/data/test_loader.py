"""Steps become batches of the examples, controls and pictures that their draws name."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openmmb.data.batch import padding
from openmmb.data.batcher import ImageVectors
from openmmb.data.example import Example
from openmmb.data.loader import Loader
from openmmb.data.sampler import Sampler
from tests.build import SENTENCES, tiny_example
from tests.data.build import (
    NAMES,
    batcher,
    caption,
    equal,
    in_batches,
    mirrored,
    replies,
    vectors,
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
