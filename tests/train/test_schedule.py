"""The learning rate rises to its highest in the warm-up and then takes the course it is told."""

import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.train.config import ScheduleConfig
from openmmb.train.schedule import lr_scale

Kind = Literal["constant", "linear", "cosine", "inverse_sqrt"]
KINDS: tuple[Kind, ...] = ("constant", "linear", "cosine", "inverse_sqrt")


def slow(step: int, kind: Kind, warmup: int, steps: int, final: float) -> float:
    if step < warmup:
        return (step + 1) / warmup
    share = min(1.0, (step - warmup) / max(1, steps - warmup))
    return {
        "constant": 1.0,
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
