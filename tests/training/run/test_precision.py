"""Fewer bits change no rule: updates are fp32 updates, rounded once; recomputed is computed."""

import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from openmmb.checkpoint import Precision
from openmmb.training.replies.config import Recipe
from openmmb.training.run.config import OptimConfig
from openmmb.training.run.log import Record
from openmmb.training.run.optim import build_optimizer, torch_optimizer, train_step
from openmmb.training.run.precision import (
    CLEAN_UPDATES,
    LossScale,
    autocast,
)
from openmmb.training.run.steps import OneByOne, round_by_chance
from openmmb.training.train import train
from tests.build import tiny_model
from tests.training.build import records, tiny_recipe

CPU = torch.device("cpu")


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


def test_a_loss_scale_halves_at_an_overflow_and_doubles_after_long_peace() -> None:
    scale = LossScale(value=8.0, clean=3)
    assert scale.after(overflow=True) == LossScale(value=4.0)
    assert scale.after(overflow=False) == LossScale(value=8.0, clean=4)
    assert replace(scale, clean=CLEAN_UPDATES - 1).after(overflow=False) == LossScale(value=16.0)
    assert scale.may_fall
    assert not LossScale(value=1e-5).may_fall


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_products_are_in_the_precision(precision: Precision) -> None:
    with autocast(CPU, precision):
        made = torch.ones(2, 2) @ torch.ones(2, 2)
    names: dict[Precision, torch.dtype] = {
        "fp32": torch.float32,
        "bf16": torch.bfloat16,
        "fp16": torch.float16,
    }
    assert made.dtype == names[precision]


Name = Literal["adam", "adamw", "adafactor"]


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


FEWER_BITS: list[tuple[Precision, bool, Name]] = [
    ("bf16", False, "adam"),
    ("fp16", False, "adam"),
    ("bf16", True, "adam"),
    ("fp16", True, "adam"),
    ("bf16", True, "adafactor"),
    ("fp32", False, "adafactor"),
]


@pytest.mark.parametrize(("precision", "memory_efficient", "name"), FEWER_BITS)
def test_a_stopped_run_goes_on_bit_for_bit(
    precision: Precision, memory_efficient: bool, name: Name, tmp_path: Path
) -> None:
    recipe = tiny_recipe(tmp_path, max_steps=10, valid_every_steps=5)
    recipe = replace(
        recipe,
        precision=precision,
        memory_efficient=memory_efficient,
        optim=replace(recipe.optim, name=name),
    )

    def ask(record: Record) -> None:
        if record["kind"] == "valid" and record["step"] == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = replace(recipe, out=str(tmp_path / "stopped"))
    straight = train(recipe).folder
    train(stopped, watch=ask)
    run = train(stopped).folder
    assert len(records(run, "start")) == 2
    assert records(straight, "step", "valid", "skip") == records(run, "step", "valid", "skip")
    states = [load_file(path / "state-00000010" / "state.safetensors") for path in (straight, run)]
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)
    kept = {tensor.dtype for key, tensor in states[0].items() if key.startswith("model.")}
    wanted = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    assert kept == {wanted if memory_efficient else torch.float32}


def end_of(recipe: Recipe, folder: Path) -> dict[str, torch.Tensor]:
    run = train(replace(recipe, out=str(folder))).folder
    return load_file(run / "state-00000008" / "state.safetensors")


def test_computing_layers_again_changes_no_bit(tmp_path: Path) -> None:
    """Dropout included: the second time its noise is that of the first."""
    recipe = tiny_recipe(tmp_path, max_steps=8, dropout=0.3, accumulate=2)
    again = replace(recipe, activation_checkpointing=True)
    plain = end_of(recipe, tmp_path / "plain")
    torch.testing.assert_close(end_of(again, tmp_path / "again"), plain, rtol=0, atol=0)
