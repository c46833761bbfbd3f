"""Every recipe of the package is one, and every recipe survives being written and read."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.checkpoint import CheckpointConfig
from openmmb.config import dump, load, parse
from openmmb.data.controls import ControlsConfig
from openmmb.data.encode import EncodeConfig
from openmmb.errors import ConfigError
from openmmb.model.config import SIZES
from openmmb.recipes import FOLDER, find_recipe
from openmmb.search.config import SearchConfig
from openmmb.tasks import TASKS, open_task
from openmmb.tasks.labelled import SOURCES
from openmmb.tasks.mixture import TaskConfig
from openmmb.text.gender import GENDER_TOKENS
from openmmb.training.classifier.config import ClassifierRecipe, is_classifier_recipe
from openmmb.training.replies.config import DataConfig, Recipe
from openmmb.training.replies.settle import ENCODER
from openmmb.training.run.config import OptimConfig, ScheduleConfig, ValidConfig
from openmmb.vision.encoders import ENCODERS

ALL = sorted(FOLDER.glob("*.toml"))
CLASSIFIERS = [path for path in ALL if is_classifier_recipe(path)]
RECIPES = [path for path in ALL if path not in CLASSIFIERS]

shares = st.floats(0, 1, exclude_max=True)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
counts = st.integers(1, 10**6)
tasks = st.builds(
    TaskConfig,
    name=texts,
    weight=st.floats(0, 100, exclude_min=True),
    split=st.sampled_from(["train", "test"]),
    holdout=shares,
    both_sides=st.booleans(),
    write_on=st.booleans(),
)
models = st.sampled_from(sorted(SIZES)).map(SIZES.__getitem__)
encodes = st.builds(
    EncodeConfig,
    max_context=st.integers(2, 128),
    max_pinned=st.just(0),
    max_reply=st.integers(1, 128),
    delimiter=texts,
)
searches = st.builds(
    SearchConfig, top_p=st.floats(0, 1, exclude_min=True), beam_size=st.integers(1, 256)
)
genders = st.none() | st.sampled_from(GENDER_TOKENS)
recipes = st.builds(
    Recipe,
    name=texts,
    out=texts,
    tasks=st.lists(tasks, min_size=1, max_size=3, unique_by=lambda t: t.name).map(tuple),
    start=st.none() | texts,
    seed=st.integers(0, 2**62),
    vocab_tasks=st.lists(tasks, max_size=2).map(tuple),
    precision=st.sampled_from(["fp32", "bf16"]),
    gender=genders,
    image_style=st.none() | texts,
    data=st.builds(DataConfig, features=st.none() | texts, batch_size=counts),
    model=models,
    encode=encodes,
    controls=st.builds(ControlsConfig, gender=st.booleans(), question_frac=shares),
    optim=st.builds(OptimConfig, betas=st.tuples(shares, shares), label_smoothing=shares),
    schedule=st.builds(ScheduleConfig, max_steps=counts, final_lr=shares),
    valid=st.builds(ValidConfig, patience=counts),
    search=searches,
)
checkpoints = st.builds(
    CheckpointConfig,
    name=texts,
    encoder=texts,
    model=models,
    encode=encodes,
    search=searches,
    gender=genders,
    image_style=st.none() | texts,
)


def test_there_are_recipes() -> None:
    assert RECIPES
    assert CLASSIFIERS


@pytest.mark.parametrize("path", CLASSIFIERS, ids=lambda path: path.stem)
def test_a_classifier_recipe_of_the_package_is_one(path: Path) -> None:
    recipe = load(ClassifierRecipe, path)
    assert Path(recipe.out).name == path.stem
    assert {part.name for part in recipe.labelled} <= SOURCES.keys()
    assert {task.name for task in recipe.conversations} <= TASKS.keys()
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert parse(ClassifierRecipe, tomllib.loads(dump(recipe))) == recipe


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_of_the_package_is_one(path: Path) -> None:
    recipe = load(Recipe, path)
    assert Path(recipe.out).name == path.stem
    for task in (*recipe.tasks, *recipe.vocab_tasks):
        open_task(task.name, Path("not there"))
    assert (recipe.data.encoder or ENCODER) in ENCODERS
    assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_starts_from_another_or_a_conversion_or_anew(path: Path) -> None:
    start = load(Recipe, path).start
    made = {f"{load(Recipe, other).out}/checkpoint" for other in RECIPES if other != path}
    assert start is None or start in made or start.startswith("converted/")


@given(recipe=recipes)
def test_parse_inverts_dump_of_recipes(recipe: Recipe) -> None:
    assert parse(Recipe, tomllib.loads(dump(recipe))) == recipe


@given(checkpoint=checkpoints)
def test_parse_inverts_dump_of_checkpoints(checkpoint: CheckpointConfig) -> None:
    assert parse(CheckpointConfig, tomllib.loads(dump(checkpoint))) == checkpoint


def test_a_recipe_is_found_by_its_name_and_by_its_path(tmp_path: Path) -> None:
    assert find_recipe("tiny-1-text") == FOLDER / "tiny-1-text.toml"
    assert find_recipe(tmp_path / "own.toml") == tmp_path / "own.toml"
    with pytest.raises(ConfigError, match=r"^no recipe 'tiny-1-txt'; did you mean 'tiny-1-text'"):
        find_recipe("tiny-1-txt")
