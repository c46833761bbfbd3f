"""Weights in fewer bits take the fp32 update, rounded once; one by one is all at once."""

from functools import partial
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openmmb.training.run.config import OptimConfig
from openmmb.training.run.optim import build_optimizer, torch_optimizer, train_step
from openmmb.training.run.steps import AllAtOnce, OneByOne, Steps, round_by_chance
from tests.build import tiny_model

Name = Literal["adam", "adamw", "adafactor"]


@given(st.floats(-1e4, 1e4, width=32).filter(lambda value: value == 0 or abs(value) > 1e-30))
def test_chance_rounds_to_one_of_the_two_neighbours_and_is_exact_on_average(value: float) -> None:
    wide = torch.full((4096,), value)
    rounded = round_by_chance(wide)
    assert rounded.dtype == torch.bfloat16
    nearer_zero = wide[:1].view(torch.int32) & -(1 << 16)
    neighbours = torch.cat([nearer_zero, nearer_zero + (1 << 16)]).view(torch.float32)
    assert set(rounded.tolist()) <= set(neighbours.tolist())
    step = (neighbours[1] - neighbours[0]).abs().item()
    assert rounded.double().mean().item() == pytest.approx(wide[0].item(), abs=0.05 * step)


def test_what_bf16_holds_is_not_rounded() -> None:
    exact = torch.randn(1000).bfloat16().float()
    assert torch.equal(round_by_chance(exact).float(), exact)


@pytest.mark.parametrize("name", ["adam", "adamw", "adafactor"])
def test_one_at_a_time_is_all_at_once(name: Name) -> None:
    """Weights in fp32 are stepped bit for bit as PyTorch's optimiser steps them."""
    config = OptimConfig(name=name, lr=0.1, weight_decay=0.1, amsgrad=name != "adafactor")
    models = [tiny_model(), tiny_model()]
    optimizers = [build_optimizer(model, config) for model in models]
    optimizers[0] = OneByOne(
        partial(torch_optimizer, config), optimizers[0].param_groups, gather=False
    )
    for step in range(3):
        for model, optimizer in zip(models, optimizers, strict=True):
            torch.manual_seed(step)
            for weight in model.parameters():
                weight.grad = torch.randn_like(weight) if weight.requires_grad else None
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            optimizer.step()
    torch.testing.assert_close(models[0].state_dict(), models[1].state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_in_fewer_bits_take_the_fp32_update(dtype: torch.dtype) -> None:
    """fp16 goes to the nearest number; bf16, whose steps are 64 times an update, on average."""
    start = torch.full((64, 64), 1.0)
    wide = torch.nn.Parameter(start.clone())
    narrow = torch.nn.Parameter(start.to(dtype))
    config = OptimConfig(lr=1e-4, betas=(0.0, 0.9))
    optimizers = [build_optimizer(torch.nn.ParameterList([w]), config) for w in (wide, narrow)]
    assert isinstance(optimizers[1], OneByOne)
    for _ in range(50):
        for weight, optimizer in zip((wide, narrow), optimizers, strict=True):
            weight.grad = torch.ones_like(weight)
            optimizer.step()
    assert {value.dtype for value in optimizers[1].state[narrow].values()} == {torch.float32}
    moved = 1 - narrow.float().mean().item()
    expected = 1 - wide.mean().item()
    if dtype == torch.bfloat16:
        assert moved == pytest.approx(expected, rel=0.1)
    else:  # 1e-4 is less than half a step of fp16 below 1, which is 2**-11
        assert moved == 0.0
        assert expected == pytest.approx(50e-4, rel=1e-3)


def test_a_gradient_too_small_for_fp16_is_learnt_from() -> None:
    """Its mean is 1e-9 where fp16 begins at 6e-8; its sum, which is what fp16 holds, is 1e-3."""
    weight = torch.nn.Parameter(torch.zeros(4, dtype=torch.float16))
    config = OptimConfig(lr=1e-2, eps=1e-12)
    optimizer = build_optimizer(torch.nn.ParameterList([weight]), config)
    update = train_step(
        [1e-3], lambda slope: ((weight * slope).sum(), 10**6), optimizer, max_grad_norm=1.0
    )
    assert update.norm == pytest.approx(2e-9, rel=1e-2)
    torch.testing.assert_close(weight.float(), torch.full((4,), -1e-2), atol=1e-4, rtol=0)


def test_a_gradient_counts_as_often_as_the_factor_says() -> None:
    config = OptimConfig(name="adafactor", lr=0.1)
    weights = [torch.nn.Parameter(torch.ones(3, 3)) for _ in range(3)]
    groups = [[{"params": [weight]}] for weight in weights]
    build = partial(torch_optimizer, config)
    optimizers: list[Steps] = [
        AllAtOnce(build, groups[0]),
        AllAtOnce(build, groups[1]),
        OneByOne(build, groups[2], gather=False),
    ]
    for weight, optimizer, scale, factor in zip(
        weights, optimizers, (1.0, 4.0, 4.0), (1.0, 0.25, 0.25), strict=True
    ):
        weight.grad = torch.arange(9.0).reshape(3, 3) * scale
        optimizer.step(factor)
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])
