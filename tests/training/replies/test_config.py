"""A recipe refuses what no run could do, by name and value."""

import math
from typing import Any

import pytest

from openmmb.config import parse
from openmmb.errors import ConfigError
from openmmb.training.replies.config import Recipe

MINIMAL: dict[str, Any] = {"name": "n", "out": "o", "tasks": [{"name": "convai2"}]}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"tasks": []}, r"^config: tasks: a recipe needs at least one \[\[tasks\]\]$"),
        (
            {"tasks": [{"name": "a"}, {"name": "a", "split": "test"}]},
            "tasks: 'a' is listed twice; list each data set once",
        ),
        (
            {"tasks": [{"name": "a", "split": "valid"}]},
            "tasks: 'a' learns from split 'valid'; set its holdout above 0",
        ),
        ({"tasks": [{"name": "a", "weight": 0}]}, r"tasks\.0: weight must be above 0, got 0\.0"),
        ({"tasks": [{"name": "a", "weight": math.nan}]}, "weight must be above 0, got nan"),
        ({"tasks": [{"name": "a", "holdout": 1.0}]}, "holdout must be at least 0 and below 1"),
        ({"seed": -1}, r"seed must be from 0 to 2\*\*63 - 1, got -1"),
        ({"vocab_size": 0}, "vocab_size must be at least 1, got 0"),
        ({"save_every_steps": 0}, "save_every_steps must be at least 1, got 0"),
        ({"gender": "f2m2"}, "gender must be one of f0m0, f0m1, f1m0, f1m1, got 'f2m2'"),
        ({"data": {"batch_size": 0}}, "data: batch_size must be at least 1, got 0"),
        ({"data": {"accumulate": 0}}, "data: accumulate must be at least 1, got 0"),
        ({"optim": {"lr": math.nan}}, "optim: lr must be above 0, got nan"),
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
    ],
)
def test_values_out_of_range_are_refused(part: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(Recipe, {**MINIMAL, **part})


def test_vocab_tasks_need_no_holdout() -> None:
    vocab_tasks = [{"name": "convai2", "split": "valid"}]
    assert parse(Recipe, {**MINIMAL, "vocab_tasks": vocab_tasks}).vocab_tasks[0].holdout == 0
