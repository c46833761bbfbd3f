"""A run's folder goes with one recipe: nothing that decides its numbers may change under it."""

import dataclasses
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w

from openmmb.config import dump, load
from openmmb.errors import ConfigError
from openmmb.files import OWN
from openmmb.tasks.mixture import TaskConfig
from openmmb.training.replies.config import Recipe
from openmmb.training.run.run_folder import claim, locked, states
from tests.training.build import tiny_recipe


def begin(recipe: Recipe, *, with_state: bool = True) -> Path:
    """Make a folder as a run of the recipe leaves it."""
    run = Path(recipe.out)
    claim(recipe, run)
    (run / "tokenizer.json").write_text("{}", encoding="utf-8")
    if with_state:
        (run / "state-00000010").mkdir()
    return run


def test_the_recipe_lies_in_the_folder(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    run = begin(recipe)
    assert load(Recipe, run / "recipe.toml") == recipe
    claim(recipe, run)
    assert (run / "tokenizer.json").exists()


def test_a_changed_recipe_is_refused_by_its_keys(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    run = begin(recipe)
    other = replace(
        recipe,
        seed=1,
        start="somewhere",
        optim=replace(recipe.optim, lr=0.5),
        tasks=(recipe.tasks[0], replace(recipe.tasks[1], weight=9.0), TaskConfig(name="chitchat")),
    )
    with pytest.raises(ConfigError) as info:
        claim(other, run)
    message = str(info.value)
    assert message.startswith(f"{run}: holds a run of another recipe: seed was 0, now is 1; ")
    for part in (
        "tasks.1.weight was 3.0, now is 9.0",
        "tasks.2.name was 'not there', now is 'chitchat'",
        "start was None, now is 'somewhere'",
        "seed was 0, now is 1",
        "optim.lr was 0.001, now is 0.5",
    ):
        assert part in message
    assert message.endswith("set another 'out'")
    assert "\n" not in message
    assert load(Recipe, run / "recipe.toml") == recipe


def test_a_run_that_an_earlier_version_began_goes_on(tmp_path: Path) -> None:
    """Versions up to 0.1 wrote a switch that was always off, and lacked what has come since."""
    recipe = tiny_recipe(tmp_path)
    run = begin(recipe)
    written = tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8"))
    del written["trainable"], written["frozen_precision"]
    del written["encode"]["object_words"], written["encode"]["object_threshold"]
    for task in written["tasks"]:
        del task["packed"]
    written["encode"]["parse_controls"] = False
    (run / "recipe.toml").write_text(tomli_w.dumps(written), encoding="utf-8")
    claim(recipe, run)
    assert load(Recipe, run / "recipe.toml") == recipe


def test_where_things_lie_may_change(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    moved = begin(recipe).rename(tmp_path / "moved")
    data = dataclasses.replace(recipe.data, root="elsewhere", features="there")
    other = replace(recipe, out=str(moved), save_every_steps=3, data=data, device="cpu")
    other = replace(other, activation_checkpointing=True)
    claim(other, moved)
    assert load(Recipe, moved / "recipe.toml") == other


def test_before_a_state_another_recipe_takes_over(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    run = begin(recipe, with_state=False)
    claim(recipe, run)
    assert (run / "tokenizer.json").exists()
    claim(replace(recipe, vocab_size=400), run)
    assert not (run / "tokenizer.json").exists()


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    Path(recipe.out).write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^out: .*run: File exists; name a folder to write to$"):
        claim(recipe, Path(recipe.out))


def test_a_finished_run_says_how_to_train_its_model_on(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    run = begin(recipe)
    (run / "checkpoint").mkdir()
    longer = replace(recipe, schedule=replace(recipe.schedule, max_steps=99_999))
    with pytest.raises(ConfigError) as caught:
        claim(longer, run)
    hint = f"to train its best model on: --start {run / 'checkpoint'} --out ANOTHER"
    assert str(caught.value).endswith(f"set another 'out'; {hint}")


def test_a_recipe_that_is_no_text_is_no_other_runs(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    run = begin(recipe)
    (run / "recipe.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"recipe\.toml: expected text in UTF-8"):
        claim(recipe, run)


def test_a_run_that_was_killed_before_it_had_a_recipe_begins_again(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    run = Path(recipe.out)
    (run / "recipe.toml.partial").mkdir(parents=True)
    (run / "recipe.toml.partial" / OWN).touch()
    with locked(run):
        claim(recipe, run)
    assert sorted(path.name for path in run.iterdir()) == ["lock", "recipe.toml"]


def test_a_folder_of_something_else_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"is not the folder of a run, and holds 'thesis\.txt'"):
        locked(tmp_path).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_recipe_that_a_person_wrote_is_not_written_over(tmp_path: Path) -> None:
    mine = tmp_path / "recipe.toml"
    mine.write_text("# my notes\n" + dump(tiny_recipe(tmp_path)), encoding="utf-8")
    written = mine.read_bytes()
    with pytest.raises(ConfigError, match=r"recipe\.toml: was not written by a run; set another"):
        claim(replace(tiny_recipe(tmp_path), seed=1), tmp_path)
    assert mine.read_bytes() == written


def test_a_file_that_is_called_as_a_state_is_none(tmp_path: Path) -> None:
    (tmp_path / "state-00000010").mkdir()
    (tmp_path / "state-00000020").touch()
    assert [path.name for path in states(tmp_path)] == ["state-00000010"]
