"""Chance that is decided by its key alone, and even over many keys."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.data.draw import pick, take_evenly, uniform

KEYS = st.lists(st.text() | st.integers(), max_size=4)


@given(KEYS)
def test_a_draw_is_decided_by_its_key(key: list[str | int]) -> None:
    assert uniform(*key) == uniform(*key)
    assert 0 <= uniform(*key) < 1


@given(KEYS, st.integers(1, 1000))
def test_a_pick_is_within_its_count(key: list[str | int], count: int) -> None:
    assert 0 <= pick(count, *key) < count
    assert pick(count, *key) == pick(count, *key)


def test_draws_never_change() -> None:
    """Runs, hold-outs and resumed runs on other machines rely on them."""
    assert uniform("holdout", "convai2", "valid:7") == 0.6843690371911151
    assert [pick(10, "caption", at) for at in range(8)] == [9, 8, 3, 2, 6, 2, 9, 5]


def test_draws_are_even() -> None:
    draws = [uniform("even", at) for at in range(20_000)]
    assert sum(draws) / len(draws) == pytest.approx(0.5, abs=0.01)
    counts = Counter(int(draw * 10) for draw in draws)
    assert all(count == pytest.approx(2000, rel=0.1) for count in counts.values())


def test_picks_are_even() -> None:
    counts = Counter(pick(7, "even", at) for at in range(14_000))
    assert sorted(counts) == list(range(7))
    assert all(count == pytest.approx(2000, rel=0.1) for count in counts.values())


def test_the_parts_of_a_key_do_not_run_together() -> None:
    assert uniform("ab", "c") != uniform("a", "bc")
    assert uniform(1, 11) != uniform(11, 1)


@given(length=st.integers(0, 60), count=st.integers(1, 60))
def test_what_is_taken_is_spread_evenly(length: int, count: int) -> None:
    taken = take_evenly(range(length), count)
    assert len(taken) == min(length, count)
    gaps = [after - before for before, after in pairwise(taken)]
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)
