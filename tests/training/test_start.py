"""A vocabulary is learnt once a run, and only the first process of a new run has weights."""

from pathlib import Path

import pytest
from torch import nn

from openmmb.errors import CheckpointError
from openmmb.text.tokenizer import Tokenizer
from openmmb.training.start import build_where_needed, learn_once
from tests.build import tiny_tokenizer


def never() -> Tokenizer:
    raise AssertionError


def test_a_vocabulary_is_learnt_once_a_run(tmp_path: Path) -> None:
    learnt = learn_once(tmp_path, tiny_tokenizer)
    kept = learn_once(tmp_path, never)
    assert kept.to_json() == learnt.to_json()
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


def test_a_vocabulary_that_is_damaged_is_told(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: "):
        learn_once(tmp_path, never)


def test_weights_are_built_until_there_is_a_state(tmp_path: Path) -> None:
    def build() -> nn.Linear:
        return build_where_needed(tmp_path, lambda: nn.Linear(2, 2), lambda: nn.Linear(2, 2))

    assert not build().weight.is_meta
    (tmp_path / "state-00000010").mkdir()
    assert build().weight.is_meta
