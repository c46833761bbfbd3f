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
        ({"tasks": [{"name": "a", "weight": math.nan}]}, "weight must be a finite number, got nan"),
        ({"tasks": [{"name": "a", "holdout": 1.0}]}, "holdout must be at least 0 and below 1"),
        ({"seed": -1}, r"seed must be from 0 to 2\*\*63 - 1, got -1"),
        ({"vocab_size": 0}, "vocab_size must be at least 1, got 0"),
        ({"gender": "f2m2"}, "gender must be one of f0m0, f0m1, f1m0, f1m1 or none, got 'f2m2'"),
        ({"data": {"batch_size": 0}}, "data: batch_size must be at least 1, got 0"),
        ({"data": {"accumulate": 0}}, "data: accumulate must be at least 1, got 0"),
    ],
)
def test_values_out_of_range_are_refused(part: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(Recipe, {**MINIMAL, **part})


def test_vocab_tasks_need_no_holdout() -> None:
    vocab_tasks = [{"name": "convai2", "split": "valid"}]
    assert parse(Recipe, {**MINIMAL, "vocab_tasks": vocab_tasks}).vocab_tasks[0].holdout == 0
