"""A vocabulary is learnt once a run, from what the run learns and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.errors import CheckpointError, DataError
from openmmb.tasks.mixture import TaskConfig, read_task
from openmmb.text.tokenizer import Tokenizer
from openmmb.training.replies.config import Recipe
from openmmb.training.replies.vocabulary import learn_vocabulary
from openmmb.training.run.run_folder import claim
from tests.tasks.build import BUILD
from tests.training.build import tiny_recipe


def learn(recipe: Recipe) -> Tokenizer:
    claim(recipe, Path(recipe.out))
    tasks = [read_task(task, Path(recipe.data.root)) for task in recipe.tasks]
    return learn_vocabulary(recipe, tasks)


def test_it_is_learnt_once(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    assert learn(recipe).vocab_size == 320
    kept = Path(recipe.out) / "tokenizer.json"
    before = kept.read_bytes()
    path = tmp_path / "data" / "dailydialog" / "train.json"
    path.write_text(path.read_text(encoding="utf-8").replace("cold", "warm"), encoding="utf-8")
    learn(recipe)
    assert kept.read_bytes() == before
    kept.unlink()
    learn(recipe)
    assert kept.read_bytes() != before


def test_more_tasks_give_words_without_being_validated_on(tmp_path: Path) -> None:
    recipe = replace(tiny_recipe(tmp_path), vocab_size=500)
    BUILD["topical_chat"](tmp_path / "data")
    alone = learn(recipe)
    more = replace(recipe, out=str(tmp_path / "more"))
    both = learn(replace(more, vocab_tasks=(TaskConfig(name="topical_chat", weight=3.0),)))
    assert alone.vocab_size < both.vocab_size <= 500
    assert len(both.encode("Do you read?")) < len(alone.encode("Do you read?"))


def test_a_missing_task_is_told(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, vocab_tasks=(TaskConfig(name="topical_chat"),))
    with pytest.raises(DataError, match=r"topical_chat"):
        learn(recipe)
    assert not (Path(recipe.out) / "tokenizer.json").exists()


def test_a_damaged_vocabulary_is_told(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    claim(recipe, Path(recipe.out))
    (Path(recipe.out) / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: not a tokenizer"):
        learn(recipe)
