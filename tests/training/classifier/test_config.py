"""A recipe of a classifier survives being written and read; the bundled one is one."""

import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from openmmb.config import dump, load, parse
from openmmb.hub import BUNDLED
from openmmb.safety.trained import load_classifier
from openmmb.tasks import TASKS
from openmmb.tasks.labelled import SOURCES
from openmmb.training.classifier.config import (
    ClassifierRecipe,
    LabelledConfig,
    is_classifier_recipe,
)

RECIPE = Path(str(resources.files("openmmb") / "recipes" / "safety.toml"))


def test_the_bundled_recipe_is_one() -> None:
    recipe = load(ClassifierRecipe, RECIPE)
    # Hate against two groups alone teaches the topics of its tweets: it is for measuring.
    assert {part.name for part in recipe.labelled} == SOURCES.keys() - {"tweeteval_hate"}
    assert {part.name for part in (*recipe.conversations, *recipe.unkind)} <= TASKS.keys()
    # The others have a split to measure on that nothing is learnt from.
    measured_apart = {part.name for part in recipe.conversations if not part.holdout}
    assert measured_apart == {"flickr8k", "image_chat"}
    assert all(part.split == "train" for part in recipe.conversations if not part.holdout)
    assert RECIPE.read_text(encoding="utf-8").startswith("# ")


def test_the_bundled_classifier_is_of_the_bundled_recipe() -> None:
    recipe = load(ClassifierRecipe, RECIPE)
    config = load_classifier(BUNDLED / "safety").config
    assert config.name == recipe.name
    assert config.read == recipe.read
    assert config.shape == replace(recipe.shape, vocab_size=recipe.vocab_size)


def test_a_recipe_of_a_classifier_is_told_from_others(tmp_path: Path) -> None:
    assert is_classifier_recipe(RECIPE)
    assert not is_classifier_recipe(RECIPE.with_name("tiny-1-text.toml"))
    assert not is_classifier_recipe(tmp_path / "nowhere.toml")
    (tmp_path / "broken.toml").write_text("labelled =")
    assert not is_classifier_recipe(tmp_path / "broken.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    assert not is_classifier_recipe(tmp_path / "binary.toml")


def test_parse_inverts_dump() -> None:
    recipe = load(ClassifierRecipe, RECIPE)
    assert parse(ClassifierRecipe, tomllib.loads(dump(recipe))) == recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labelled": ()}, r"at least one \[\[labelled\]\] and one \[\[conversations\]\]"),
        ({"conversations": ()}, "at least one"),
        ({"calibrate": 0.0}, "calibrate must be above 0 and below 1, got 0.0"),
        ({"false_alarms": 1.0}, "false_alarms must be above 0 and below 1, got 1.0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"neutral_weight": 0.0}, "neutral_weight must be above 0, got 0.0"),
        ({"seed": -1}, r"seed must be from 0 to 2\*\*63 - 1, got -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(load(ClassifierRecipe, RECIPE), **changes)  # type: ignore[arg-type]


def test_a_weight_is_above_0() -> None:
    with pytest.raises(ValueError, match=r"weight must be above 0, got 0\.0"):
        LabelledConfig(name="diasafety", weight=0.0)


def test_a_file_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    for text in ("labelled = " + "[" * 5000, "a" + ".a" * 100_000 + " = 1", "labelled"):
        path.write_text(text, encoding="utf-8")
        assert not is_classifier_recipe(path)
    assert not is_classifier_recipe(tmp_path / "missing.toml")
