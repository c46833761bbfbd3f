"""What every run is told has sense, and what may change under a run is marked so."""

import dataclasses
import math
from typing import Any

import pytest

from openmmb.config import parse
from openmmb.errors import ConfigError
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.replies.config import DataConfig, Recipe
from openmmb.training.run.config import RunConfig

MINIMAL: dict[str, Any] = {"name": "n", "out": "o"}
SHARED = {"out", "device", "activation_checkpointing", "save_every_steps"}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"seed": -1}, r"seed must be from 0 to 2\*\*63 - 1, got -1"),
        ({"save_every_steps": 0}, "save_every_steps must be at least 1, got 0"),
        ({"trainable": []}, r"trainable must be at least one pattern, got \(\)"),
        ({"frozen_precision": "bf16"}, "no product can mix; set precision to 'bf16' too"),
        ({"optim": {"lr": math.nan}}, "optim: lr must be a finite number, got nan"),
        ({"optim": {"eps": 0.0}}, r"optim: eps must be above 0, got 0\.0"),
        ({"optim": {"max_grad_norm": -1}}, r"optim: max_grad_norm must be above 0, got -1\.0"),
        ({"optim": {"betas": [0.9, 1.0]}}, r"optim: betas must be at least 0 and below 1, got \("),
        ({"optim": {"weight_decay": -1}}, r"optim: weight_decay must be at least 0, got -1\.0"),
        ({"optim": {"label_smoothing": 1}}, "optim: label_smoothing must be at least 0 and below"),
        ({"schedule": {"max_steps": 0}}, "schedule: max_steps must be at least 1, got 0"),
        ({"schedule": {"warmup_steps": -1}}, "schedule: warmup_steps must be at least 0, got -1"),
        ({"schedule": {"final_lr": 2}}, r"schedule: final_lr must be from 0 to 1, got 2\.0"),
        ({"valid": {"every_steps": 0}}, "valid: every_steps must be at least 1, got 0"),
        ({"valid": {"max_examples": 0}}, "valid: max_examples must be at least 1, got 0"),
        ({"valid": {"patience": 0}}, "valid: patience must be at least 1, got 0"),
        (
            {"valid": {"every_seconds": 1.0, "every_epochs": 1.0}},
            "valid: every_seconds and every_epochs exclude each other; leave one out",
        ),
    ],
)
def test_values_out_of_range_are_refused(part: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(RunConfig, {**MINIMAL, **part})


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (RunConfig, SHARED),
        (DataConfig, {"root", "features", "mirrored_features", "workers"}),
        (
            ClassifierRecipe,
            {
                *("out", "device", "activation_checkpointing", "save_every_steps", "root"),
                "start_command",
            },
        ),
    ],
)
def test_where_things_lie_and_run_may_change_under_a_run(kind: Any, names: set[str]) -> None:
    marked = {field.name for field in dataclasses.fields(kind) if field.metadata.get("may_change")}
    assert marked == names


def test_a_recipe_keeps_its_keys_flat() -> None:
    """The keys that all runs share lie beside those of the recipe, as they did before."""
    recipe = parse(Recipe, {**MINIMAL, "seed": 3, "tasks": [{"name": "convai2"}]})
    assert recipe.seed == 3
    assert {field.name for field in dataclasses.fields(RunConfig)} < {
        field.name for field in dataclasses.fields(Recipe)
    }
