"""Working by pieces gives what working on whole rows gives."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openmmb.search.wide import BLOCK, PIECE, highest, log_sum_exp


def logits_of(shape: tuple[int, int, int], seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 5


@given(
    rows=st.integers(1, 2),
    beams=st.integers(1, 3),
    size=st.integers(1, 40 * BLOCK),
    count=st.integers(1, 12),
    seed=st.integers(0, 2**31),
)
def test_the_highest_are_those_of_a_whole_sort(
    rows: int, beams: int, size: int, count: int, seed: int
) -> None:
    logits = logits_of((rows, beams, size), seed)
    values, places = highest(logits, count)
    expected, _ = logits.sort(dim=-1, descending=True)
    assert values.equal(expected[..., :count])
    assert logits.gather(-1, places).equal(values)
    assert all(len(set(beam)) == len(beam) for row in places.tolist() for beam in row)


def test_the_highest_are_found_where_most_are_banned() -> None:
    logits = torch.full((1, 1, 40 * BLOCK + 3), -1e20)
    logits[0, 0, -1], logits[0, 0, 7] = 2.0, 1.0
    values, places = highest(logits, 4)
    assert places[0, 0, :2].tolist() == [40 * BLOCK + 2, 7]
    assert values[0, 0].tolist() == [2.0, 1.0, *torch.full((2,), -1e20).tolist()]


@pytest.mark.parametrize("beams", [1, 10])
@pytest.mark.parametrize("size", [7, PIECE // 4 + 1, 2 * PIECE])
def test_the_sum_is_that_of_whole_rows(beams: int, size: int) -> None:
    logits = logits_of((2, beams, size), seed=beams)
    expected = logits.logsumexp(-1, keepdim=True)
    torch.testing.assert_close(log_sum_exp(logits), expected, rtol=1e-6, atol=0)


def test_what_is_banned_has_no_share() -> None:
    logits = torch.full((1, 2, PIECE), -1e20)
    logits[..., 5] = 3.0
    assert log_sum_exp(logits).tolist() == [[[3.0], [3.0]]]


def test_what_is_hopeless_changes_nothing() -> None:
    logits = torch.full((1, 2, PIECE), -90.0)
    logits[..., 5] = 3.0
    assert log_sum_exp(logits).tolist() == [[[3.0], [3.0]]]
