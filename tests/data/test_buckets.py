"""Rows that are padded together are alike; every row is in one group."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.data.buckets import EDGE, buckets


def padded(lengths: npt.NDArray[np.int64], groups: list[npt.NDArray[np.int64]]) -> int:
    return sum(len(group) * int(lengths[group].max(axis=0).sum()) for group in groups)


def slow(lengths: list[tuple[int, ...]], rows: list[int], size: int) -> list[list[int]]:
    """The plain twin: try every cut, count what each side pads."""
    if len(rows) <= size:
        return [rows]
    count = -(-len(rows) // size)
    margin = max(1, count // EDGE)
    tried = []
    for kind in range(len(lengths[0])):
        order = sorted(rows, key=lambda row: (lengths[row][kind], rows.index(row)))
        for place in range(margin * size, (count - margin) * size + 1, size):
            cost = sum(
                len(side) * sum(max(column) for column in zip(*(lengths[r] for r in side)))  # noqa: B905
                for side in (order[:place], order[place:])
            )
            tried.append((cost, kind, place, order))
    _, _, place, order = min(tried)
    return slow(lengths, order[place:], size) + slow(lengths, order[:place], size)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40),
    st.integers(1, 6),
)
def test_buckets_equal_their_plain_twin(lengths: list[tuple[int, int]], size: int) -> None:
    found = [group.tolist() for group in buckets(np.array(lengths), size)]
    assert found == slow(list(lengths), list(range(len(lengths))), size)
    assert sorted(row for group in found for row in group) == list(range(len(lengths)))
    assert [len(group) for group in found if len(group) != size] in ([], [len(lengths) % size])


def test_no_rows_are_no_groups() -> None:
    assert list(buckets(np.zeros((0, 2), dtype=np.int64), 3)) == []


@pytest.mark.parametrize("rows", [100, 3000])
def test_two_lengths_pad_less_than_sorted_by_their_sum(rows: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 100, (rows, 2))
    order = lengths.sum(axis=1).argsort()
    by_sum = [order[at : at + 10] for at in range(0, rows, 10)]
    real = int(lengths.sum())
    ours = padded(lengths, list(buckets(lengths, 10)))
    assert ours - real < 0.7 * (padded(lengths, by_sum) - real)


def test_pictures_and_texts_are_parted_but_for_one_group() -> None:
    pictures = np.array([[5, 5, 49 * (row % 3 == 0)] for row in range(100)])
    mixed = [group for group in buckets(pictures, 8) if len(set(pictures[group, 2].tolist())) == 2]
    assert len(mixed) == 1
