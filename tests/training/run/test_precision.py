"""Fewer bits change no rule: updates are fp32 updates, rounded once; recomputed is computed."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file

from openmmb.checkpoint import Precision
from openmmb.training.replies.config import Recipe
from openmmb.training.run.log import Record
from openmmb.training.run.precision import (
    CLEAN_UPDATES,
    LossScale,
    autocast,
)
from openmmb.training.train import train
from tests.training.build import records, tiny_recipe

CPU = torch.device("cpu")


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
