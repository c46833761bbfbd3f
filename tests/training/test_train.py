"""One call runs any recipe: an object, a file or a bundled name, of replies or of a classifier."""

from dataclasses import replace
from pathlib import Path

import pytest

import openmmb
from openmmb.config import dump
from openmmb.safety.trained import load_classifier
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.replies.config import Recipe
from openmmb.training.train import read_recipe
from tests.training.build import records, tiny_recipe
from tests.training.classifier.build import tiny_classifier_recipe


def test_a_recipe_and_its_file_are_the_same_run(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, max_steps=10)
    path = tmp_path / "mine.toml"
    path.write_text(dump(replace(recipe, out=str(tmp_path / "other"))), encoding="utf-8")
    results = [openmmb.train(recipe), openmmb.train(path)]
    assert [result.folder.name for result in results] == ["run", "other"]
    assert results[0] == replace(
        results[1], folder=results[0].folder, checkpoint=results[0].checkpoint
    )
    assert (results[0].reason, results[0].steps) == ("all steps done", 10)
    again = openmmb.train(str(path))
    assert (again.reason, again.best) == (results[1].reason, results[1].best)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("workers", [None, 0, 2])
def test_who_makes_the_batches_changes_no_number(workers: int | None, tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, max_steps=10)
    recipe = replace(recipe, data=replace(recipe.data, workers=1))
    plain = replace(recipe, out=str(tmp_path / "plain"))
    found = openmmb.train(recipe, workers=workers)
    expected = openmmb.train(plain, workers=0)
    runs = [records(result.folder, "step", "valid") for result in (found, expected)]
    assert runs[0] == runs[1]


def test_a_classifier_is_trained_by_the_same_call(tmp_path: Path) -> None:
    recipe = tiny_classifier_recipe(tmp_path, max_steps=10)
    path = tmp_path / "classifier.toml"
    path.write_text(dump(recipe), encoding="utf-8")
    assert read_recipe(path) == recipe
    checkpoint = openmmb.train(path).checkpoint
    assert checkpoint is not None
    assert load_classifier(checkpoint).config.name == recipe.name


def test_a_bundled_recipe_is_read_by_its_name() -> None:
    assert isinstance(read_recipe("tiny-1-text"), Recipe)
    assert isinstance(read_recipe("safety"), ClassifierRecipe)
    with pytest.raises(openmmb.ConfigError, match=r"no recipe 'tiny-1-txt'; did you mean 'tiny-1"):
        openmmb.train("tiny-1-txt")


def test_what_does_not_fit_together_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(dump(tiny_recipe(tmp_path)).replace("seed = 0", "sead = 0"), encoding="utf-8")
    with pytest.raises(openmmb.ConfigError, match=r"mine\.toml: sead: no key 'sead'; did you mean"):
        openmmb.train(path)
