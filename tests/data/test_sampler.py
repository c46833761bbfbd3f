"""Every window is a pure function of its number, and tasks are drawn fairly."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.data.sampler import WINDOW, Sampler
from openmmb.errors import ConfigError

Draw = tuple[int, ...]


def sampler(
    sizes: tuple[int, ...],
    weights: tuple[float, ...] | None = None,
    *,
    batch_size: int = 4,
    seed: int = 0,
) -> Sampler:
    return Sampler(
        examples=tuple(range(size) for size in sizes),
        weights=weights or (1.0,) * len(sizes),
        batch_size=batch_size,
        seed=seed,
    )


def epochs(mix: Sampler, count: int) -> list[Draw]:
    windows = [mix.window(number) for number in range(count * mix.windows_per_epoch)]
    return [draw for window in windows for draw in drawn(mix, window.number)]


def drawn(mix: Sampler, number: int) -> list[Draw]:
    return [tuple(row) for row in mix.draws(mix.window(number)).tolist()]


@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=3),
    batch_size=st.integers(1, 3),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_windows_are_the_same_in_whatever_order_they_are_asked_for(
    sizes: list[int], batch_size: int, seed: int, data: st.DataObject
) -> None:
    if sum(sizes) < batch_size:
        batch_size = 1
    one = sampler(tuple(sizes), batch_size=batch_size, seed=seed)
    other = sampler(tuple(sizes), batch_size=batch_size, seed=seed)
    numbers = list(range(3 * one.windows_per_epoch))
    in_order = {number: drawn(one, number) for number in numbers}
    shuffled = data.draw(st.permutations(numbers))
    assert {number: drawn(other, number) for number in shuffled} == in_order


@given(size=st.integers(1, 500), batch_size=st.integers(1, 3))
def test_windows_cut_the_stream_of_batches_without_gaps(size: int, batch_size: int) -> None:
    mix = sampler((size,), batch_size=min(size, batch_size))
    windows = [mix.window(number) for number in range(3 * mix.windows_per_epoch)]
    steps = [w.start + place for w in windows for place in range(w.size)]
    assert steps == list(range(3 * mix.steps_per_epoch))
    assert [mix.window_of(step).number for step in steps] == [
        window.number for window in windows for _ in range(window.size)
    ]
    sizes = [window.size for window in windows]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= 1.5 * WINDOW
    assert all(len(drawn(mix, w.number)) == w.size * mix.batch_size for w in windows)


@pytest.mark.parametrize(
    ("batches", "windows"), [(1, 1), (3, 1), (WINDOW, 1), (70, 1), (80, 2), (4 * WINDOW, 4)]
)
def test_a_window_has_about_fifty_batches_or_the_whole_epoch(batches: int, windows: int) -> None:
    mix = sampler((batches,), batch_size=1)
    assert mix.windows_per_epoch == windows
    assert mix.window(0).size == batches // windows


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=3).map(tuple),
    seed=st.integers(0, 99),
)
def test_an_epoch_has_every_example_once(sizes: tuple[int, ...], seed: int) -> None:
    found = epochs(sampler(sizes, batch_size=1, seed=seed), 3)
    wanted = [
        (task, index, number)
        for number in range(3)
        for task, size in enumerate(sizes)
        for index in range(size)
    ]
    assert sorted(found) == sorted(wanted)


@given(
    sizes=st.lists(st.integers(3, 60), min_size=1, max_size=3).map(tuple),
    weights=st.lists(st.floats(0.3, 2.5), min_size=3, max_size=3),
    batch_size=st.integers(1, 5),
)
def test_no_example_comes_twice_in_a_pass(
    sizes: tuple[int, ...], weights: list[float], batch_size: int
) -> None:
    mix = sampler(sizes, tuple(weights[: len(sizes)]), batch_size=min(batch_size, sizes[0] // 3))
    found = epochs(mix, 4)
    assert len(set(found)) == len(found)
    assert all(0 <= index < sizes[task] for task, index, _ in found)


def test_what_an_epoch_leaves_over_may_be_any_example() -> None:
    left: Counter[int] = Counter()
    for seed in range(370):
        found = epochs(sampler((37,), seed=seed), 1)
        (index,) = set(range(37)) - {index for _, index, _ in found}
        left[index] += 1
    assert len(left) > 30
    assert max(left.values()) < 30


def test_a_light_task_leaves_no_example_out_in_the_long_run() -> None:
    found = epochs(sampler((40, 40), (0.25, 1.0), batch_size=5), 8)
    light = Counter(index for task, index, _ in found if task == 0)
    assert set(light) == set(range(40))
    assert set(light.values()) == {2}
    assert {number for task, _, number in found if task == 0} == {0, 1}


def test_an_epoch_goes_through_each_task_as_often_as_its_weight_says() -> None:
    found = Counter(
        task for task, *_ in epochs(sampler((100, 50, 10), (0.5, 2.0, 3.0), batch_size=5), 1)
    )
    assert found == {0: 50, 1: 100, 2: 30}


def test_tasks_of_one_size_are_shuffled_apart() -> None:
    found = epochs(sampler((40, 40), (0.5, 0.5), batch_size=5), 1)
    one, other = ({index for task, index, _ in found if task == number} for number in (0, 1))
    assert len(one) == len(other) == 20
    assert one != other


def test_another_epoch_and_another_seed_have_another_order() -> None:
    mix = sampler((60,))
    first, second = ([index for _, index, _ in drawn(mix, number)] for number in (0, 1))
    assert first != second
    assert first != [index for _, index, _ in drawn(sampler((60,), seed=1), 0)]


def test_samplers_side_by_side_do_not_meet() -> None:
    one, other = sampler((20,)), sampler((30,), seed=4)
    wanted = [drawn(sampler((20,)), number) for number in range(5)]
    found = []
    for number in range(5):
        found.append(drawn(one, number))
        drawn(other, number)
    assert found == wanted


def test_a_batch_larger_than_an_epoch_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch_size: 4, but an epoch has only 3 examples"):
        sampler((3,))


def test_a_weight_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tasks\.1: weight 0\.1 of 4 examples leaves none"):
        sampler((40, 4), (1.0, 0.1))
