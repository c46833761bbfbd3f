"""A batch holds its rows and nothing else, padded on the right."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from openmmb.data.batch import Batch, collate, pad, padding, shard
from openmmb.data.encode import Encoded

PAD = 0
SHAPE = (2, 3)
IDS = st.lists(st.integers(1, 50), max_size=6).map(tuple)


def slow_pad(rows: list[tuple[int, ...]]) -> tuple[list[list[int]], list[list[bool]]]:
    longest = max([len(row) for row in rows] + [1])
    ids = [[*row, *[PAD] * (longest - len(row))] for row in rows]
    return ids, [[at < len(row) for at in range(longest)] for row in rows]


@given(st.lists(IDS, min_size=1, max_size=4))
def test_padding_equals_its_plain_twin(rows: list[tuple[int, ...]]) -> None:
    ids, mask = pad(rows, PAD)
    assert (ids.tolist(), mask.tolist()) == slow_pad(rows)
    assert (ids.dtype, mask.dtype) == (torch.int64, torch.bool)


@given(st.lists(st.tuples(IDS, IDS, st.booleans()), min_size=1, max_size=4))
def test_every_row_can_be_read_back(
    rows: list[tuple[tuple[int, ...], tuple[int, ...], bool]],
) -> None:
    images = [torch.rand(SHAPE) if has else None for *_, has in rows]
    batch = make([Encoded(context=c, reply=r) for c, r, _ in rows], images)
    assert len(batch) == len(rows)
    for at, (context, reply, has) in enumerate(rows):
        assert tuple(batch.context[at, batch.context_mask[at]].tolist()) == context
        assert tuple(batch.reply[at, batch.reply_mask[at]].tolist()) == reply
        assert batch.has_image[at].item() == has
        image = images[at]
        if image is not None:
            assert batch.image[at].equal(image)
        else:
            assert not batch.image[at].any()


def make(rows: list[Encoded], images: list[Tensor | None]) -> Batch:
    return collate(rows, images, pad_id=PAD, image_shape=SHAPE)


def test_a_batch_without_a_picture_has_no_image_vectors() -> None:
    batch = make([Encoded((5,), (6,)), Encoded((5, 7), (6,))], [None, None])
    assert batch.image.shape == (2, 0, 3)
    assert batch.has_image.tolist() == [False, False]


def test_rows_may_be_padded_to_more_than_they_need() -> None:
    """A shard of a batch in which others are longer, or have a picture."""
    rows = [Encoded((5,), (6, 7))]
    batch = collate(rows, [None], pad_id=PAD, image_shape=SHAPE, least=(3, 1, 2))
    assert batch.context.tolist() == [[5, PAD, PAD]]
    assert batch.reply.tolist() == [[6, 7]]
    assert batch.image.tolist() == [[[0.0] * 3] * 2]
    assert batch.has_image.tolist() == [False]


def test_a_batch_moves_as_a_whole() -> None:
    batch = make([Encoded((5,), (6,))], [torch.rand(SHAPE)])
    moved = batch.to(torch.device("meta"))
    assert {tensor.device.type for tensor in (moved.context, moved.reply_mask, moved.image)} == {
        "meta"
    }
    assert len(moved) == 1


def test_zero_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot collate zero rows"):
        make([], [])


def test_a_picture_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"image is \(3, 2\), expected \(2, 3\)"):
        make([Encoded((5,), (6,))], [torch.rand(3, 2)])


def test_images_of_other_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="2 images for 1 rows"):
        make([Encoded((5,), (6,))], [None, None])


def test_padding_is_the_share_of_positions_that_hold_no_token() -> None:
    one = make([Encoded((5,), (6, 7)), Encoded((5, 6, 7), (6,))], [None, None])
    other = make([Encoded((5,), (6,))], [torch.rand(SHAPE)])
    assert (one.num_tokens, one.num_positions) == (7, 10)
    assert (other.num_tokens, other.num_positions) == (2, 2)
    assert padding([one, other]) == pytest.approx(3 / 12)
    assert padding([]) == 1.0


@given(st.integers(1, 9), st.integers(1, 6))
def test_every_row_is_in_the_shard_of_one_process(count: int, world_size: int) -> None:
    batch = make([Encoded((number + 1,), (1,)) for number in range(count)], [None] * count)
    shards = [shard(batch, rank=rank, world_size=world_size) for rank in range(world_size)]
    own = [one.rows.context.flatten().tolist() for one in shards if one.counts]
    assert sorted(row for rows in own for row in rows) == list(range(1, count + 1))
    assert own == [list(range(rank + 1, count + 1, world_size)) for rank in range(len(own))]
    idle = [one.rows.context.tolist() for one in shards if not one.counts]
    assert idle == [[[1]]] * max(0, world_size - count)
