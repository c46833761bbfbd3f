"""The learning rate rises to its highest in the warm-up and then takes the course it is told."""

import math
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openmmb.training.run.config import ScheduleConfig
from openmmb.training.run.schedule import Plateau, after_validation, limit_reached, lr_scale

Kind = Literal["constant", "linear", "cosine", "inverse_sqrt", "plateau"]
KINDS: tuple[Kind, ...] = ("constant", "linear", "cosine", "inverse_sqrt", "plateau")


def slow(step: int, kind: Kind, warmup: int, steps: int, final: float) -> float:
    if step < warmup:
        return (step + 1) / warmup
    share = min(1.0, (step - warmup) / max(1, steps - warmup))
    return {
        "constant": 1.0,
        "plateau": 1.0,
        "linear": 1 + (final - 1) * share,
        "cosine": final + (1 - final) * math.cos(share * math.pi / 2) ** 2,
        "inverse_sqrt": math.pow(max(1, warmup) / (step + 1), 0.5),
    }[kind]


@given(
    step=st.integers(0, 400),
    kind=st.sampled_from(KINDS),
    warmup=st.integers(0, 100),
    steps=st.integers(1, 300),
    final=st.floats(0, 1),
)
def test_it_is_what_its_plain_twin_says(
    step: int, kind: Kind, warmup: int, steps: int, final: float
) -> None:
    config = ScheduleConfig(kind=kind, warmup_steps=warmup, max_steps=steps, final_lr=final)
    scale = lr_scale(step, config)
    assert scale == pytest.approx(slow(step, kind, warmup, steps, final), abs=1e-12)
    assert 0 <= scale <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_without_warmup_it_begins_at_its_highest(kind: Kind) -> None:
    assert lr_scale(0, ScheduleConfig(kind=kind, warmup_steps=0, max_steps=10)) == 1


def test_values_by_hand() -> None:
    config = ScheduleConfig(kind="linear", warmup_steps=2, max_steps=6, final_lr=0.5)
    assert [lr_scale(step, config) for step in range(8)] == pytest.approx(
        [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.5]
    )


@given(
    scores=st.lists(st.sampled_from([1.0, 2.0, 1.99995, 1.9998, 3.0, 0.5]), max_size=30),
    patience=st.integers(0, 4),
    decay=st.floats(0.1, 0.9),
)
def test_a_plateau_is_that_of_pytorch(scores: list[float], patience: int, decay: float) -> None:
    config = ScheduleConfig(kind="plateau", warmup_steps=10, patience=patience, decay=decay)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    plain = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=decay, patience=patience, eps=0.0
    )
    plateau = after_validation(Plateau(), 0.0, step=10, config=config)
    assert plateau == Plateau()  # the warm-up is not over
    for place, score in enumerate(scores):
        plateau = after_validation(plateau, score, step=11 + place, config=config)
        plain.step(score)
        assert plateau.factor == optimizer.param_groups[0]["lr"]


def test_other_courses_know_no_plateau() -> None:
    config = ScheduleConfig(kind="constant", warmup_steps=0, patience=0)
    assert after_validation(Plateau(best=1.0), 2.0, step=1, config=config) == Plateau(best=1.0)


def test_a_limit_is_reached_with_the_last_step_and_with_the_last_second() -> None:
    config = ScheduleConfig(max_steps=10, max_seconds=5.0)
    assert limit_reached(config, step=9, seconds=4.9) is None
    assert limit_reached(config, step=10, seconds=4.9) == "all steps done"
    assert limit_reached(config, step=9, seconds=5.0) == "all time used"
