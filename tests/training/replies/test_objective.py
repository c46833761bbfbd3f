"""A run ends where its recipe says, and a run that was stopped ends as one that was not."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from openmmb.checkpoint import load_checkpoint
from openmmb.config import dump
from openmmb.data.batch import padding
from openmmb.errors import CheckpointError, ConfigError, DataError, TrainingError
from openmmb.tasks.mixture import TaskConfig
from openmmb.training.replies.config import Recipe
from openmmb.training.replies.prepare import prepare
from openmmb.training.run.config import ValidConfig
from openmmb.training.run.log import Record
from openmmb.training.run.update import MAX_SKIPPED
from openmmb.training.train import train
from tests.build import PICTURES as IDS
from tests.build import tiny_features
from tests.training.build import PICTURES, TEXT, records, tiny_recipe

DECIDED = ("step", "skip", "valid")
"""Records that the recipe decides to the last digit."""


def assert_same_run(one: Path, other: Path) -> None:
    """Compare the ends of two runs, bit for bit."""
    assert records(one, *DECIDED) == records(other, *DECIDED)
    newest = [sorted(run.glob("state-*"))[-1] for run in (one, other)]
    assert newest[0].name == newest[1].name
    for name in (f"{newest[0].name}/state.safetensors", "checkpoint/model.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    numbers = [json.loads((state / "state.json").read_text("utf-8")) for state in newest]
    for number in numbers:
        del number["seconds"], number["recent_seconds"]
        del number["check"]  # the hash of all of them
    assert numbers[0] == numbers[1]


def test_a_run_learns_and_leaves_its_best_checkpoint(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, lr=1e-2, max_steps=60, dropout=0.0)
    seen: list[Record] = []
    result = train(recipe, watch=seen.append)
    assert result.checkpoint == Path(recipe.out) / "checkpoint"
    valid = records(result.folder, "valid")
    assert [record["step"] for record in valid] == [10, 20, 30, 40, 50, 60]
    assert valid[-1]["ppl"] < valid[0]["ppl"] / 2
    for record in valid:
        tasks = [record["ppl/convai2"], record["ppl/dailydialog"]]
        assert record["ppl"] == pytest.approx(sum(tasks) / 2)
    end = seen[-1]
    assert (end["kind"], end["step"], end["reason"]) == ("end", 60, "all steps done")
    assert end["best"] == min(record["ppl"] for record in valid)
    assert (result.reason, result.steps, result.best) == (end["reason"], 60, end["best"])
    assert load_checkpoint(result.checkpoint).config.name == "tiny"


def test_the_first_record_gives_the_sizes(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, max_steps=1, accumulate=2, batch_size=5)
    start = records(train(recipe).folder, "start")[0]
    assert start.pop("parameters") > 1000
    assert len(start.pop("data")) == 32
    assert start == {
        "kind": "start",
        "step": 0,
        "max_steps": 1,
        "steps_per_epoch": 2.0,
        "examples/convai2": 3,
        "valid/convai2": 3,
        "examples/dailydialog": 3,
        "valid/dailydialog": 3,
    }


def test_pictures_and_text_are_learnt_together(tmp_path: Path) -> None:
    recipe = tiny_recipe(
        tmp_path, tasks=(*TEXT, *PICTURES), features=tiny_features(tmp_path), max_steps=10
    )
    valid = records(train(recipe).folder, "valid")[-1]
    assert {key for key in valid if key.startswith("ppl/")} == {
        f"ppl/{name}" for name in ("convai2", "dailydialog", "image_chat", "flickr8k")
    }


def test_a_second_stage_starts_from_the_first(tmp_path: Path) -> None:
    first = train(tiny_recipe(tmp_path, max_steps=20, lr=1e-2))
    best = records(first.folder, "valid")[-1]["ppl"]
    start = str(first.checkpoint)
    second = tiny_recipe(tmp_path, out="second", start=start, max_steps=1, lr=1e-12)
    assert records(train(second).folder, "valid")[0]["ppl"] == pytest.approx(best, rel=0.01)


def test_step_records_are_means_over_their_updates(tmp_path: Path) -> None:
    steps = records(train(tiny_recipe(tmp_path, max_steps=20)).folder, "step")
    assert [record["step"] for record in steps] == [10, 20]
    assert steps[1]["tokens"] > steps[0]["tokens"]
    assert all(4 < record["loss"] < 7 and record["norm"] > 0 for record in steps)


@pytest.mark.parametrize("workers", [0, 2])
def test_step_records_give_the_padding_of_their_batches(workers: int, tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, max_steps=20, accumulate=2)
    recipe = replace(recipe, data=replace(recipe.data, workers=workers))
    steps = records(train(recipe).folder, "step")
    loader = prepare(recipe).loader
    expected = [padding(map(loader.batch, range(20 * at, 20 * at + 20))) for at in range(2)]
    assert [record["padding"] for record in steps] == expected
    assert 0 < expected[0] < 0.5


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_goes_on_as_if_it_had_not(
    end: signal.Signals, tmp_path: Path
) -> None:
    """It stops at update 14, between two records and two saves."""
    recipe = tiny_recipe(tmp_path, valid_every_steps=7)
    straight = train(recipe).folder

    def ask(record: Record) -> None:
        if record["kind"] == "valid" and record["step"] == 14:
            os.kill(os.getpid(), end)

    before = signal.getsignal(end)
    stopped = replace(recipe, out=str(tmp_path / "stopped"))
    run = train(stopped, watch=ask).folder
    assert signal.getsignal(end) == before
    assert records(run, "end")[0]["reason"] == "stopped"
    assert records(run)[-1]["step"] == 14
    train(stopped)
    assert records(run, "start")[1]["step"] == 14
    assert_same_run(straight, run)


def test_a_run_may_be_stopped_before_it_has_a_checkpoint(tmp_path: Path) -> None:
    def ask(record: Record) -> None:
        if record["kind"] == "save" and record["step"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    result = train(tiny_recipe(tmp_path, save_every_steps=3), watch=ask)
    assert (result.checkpoint, result.reason, result.best) == (None, "stopped", None)
    assert not (result.folder / "checkpoint").exists()
    assert records(result.folder)[-1]["step"] == result.steps == 4


KILLED = """
import contextlib, os, random, signal, sys, time
from pathlib import Path
import torch
import torch._dynamo  # the first optimiser would import it, in every fork
import openmmb.training.run.sharded
from openmmb.config import load
from openmmb.training.replies.config import Recipe
from openmmb.training.train import train

with contextlib.suppress(ImportError):
    import torch.utils.tensorboard
torch.set_num_threads(1)
chance = random.Random(0)

def newest(recipe):
    return max(Path(recipe.out).glob("state-*"), default=None)

for run, kills in (("straight", 0), ("killed", int(sys.argv[2]))):
    recipe = load(Recipe, Path(sys.argv[1]) / f"{run}.toml")
    for left in reversed(range(kills + 1)):
        before = newest(recipe)
        child = os.fork()
        if child == 0:
            train(recipe)
            os._exit(0)
        if left % 4:  # at work, after a save at least
            while newest(recipe) == before:
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.1))
        else:  # perhaps while it gets ready
            time.sleep(chance.uniform(0, 0.3))
        if left:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) if left else status == 0, (left, status)
"""
"""Fork a run, kill it for good at a moment that chance picks, and so on; then let it end."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_that_is_killed_twenty_times_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, max_steps=300, save_every_steps=3, valid_every_steps=4)
    for out in ("straight", "killed"):
        text = dump(replace(recipe, out=str(tmp_path / out)))
        (tmp_path / f"{out}.toml").write_text(text, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), "20"],
        check=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    run = tmp_path / "killed"
    starts = [record["step"] for record in records(run, "start")]
    assert len(set(starts)) > 10, starts
    assert_same_run(tmp_path / "straight", run)
    names = {path.name for path in run.iterdir() if not path.name.startswith("state-")}
    lasting = {"checkpoint", "frozen", "lock", "log.jsonl", "recipe.toml", "tokenizer.json"}
    assert names - {"tensorboard"} == lasting


def test_a_damaged_state_is_told_and_the_one_before_taken(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, max_steps=30)
    run = train(recipe).folder
    before = records(run, *DECIDED)
    weights = (run / "state-00000030" / "state.safetensors").read_bytes()
    path = run / "state-00000030" / "state.safetensors"
    path.write_bytes(weights[:-1])
    train(recipe)
    (damaged,) = records(run, "damaged")
    assert damaged["step"] == 20
    assert damaged["state"].startswith("state-00000030/state.safetensors: ")
    assert path.read_bytes() == weights
    assert records(run, *DECIDED) == before


def test_a_run_that_is_over_stays_over(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, max_steps=10)
    run = train(recipe).folder
    before = (run / "checkpoint" / "model.safetensors").stat().st_mtime_ns
    train(recipe)
    assert (run / "checkpoint" / "model.safetensors").stat().st_mtime_ns == before
    assert [record["reason"] for record in records(run, "end")] == ["all steps done"] * 2


def test_a_run_gives_up_when_it_gets_no_better(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, lr=1.0, max_steps=500, valid_every_steps=5, patience=3)
    run = train(recipe).folder
    end, valid = records(run, "end")[0], records(run, "valid")
    assert end["reason"] == "no better for too long"
    assert end["step"] == valid[-1]["step"] < 500
    assert min(record["ppl"] for record in valid) == valid[-4]["ppl"] == end["best"]
    train(recipe)
    assert records(run, "valid") == valid


def test_a_run_whose_numbers_are_not_finite_ends_with_one_line(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, lr=1e30, max_steps=100, valid_every_steps=100)
    with pytest.raises(TrainingError, match=r"run: step \d+: loss or gradient were not finite 10"):
        train(recipe)
    skips = records(Path(recipe.out), "skip")
    assert [record["in_a_row"] for record in skips] == list(range(1, MAX_SKIPPED + 1))
    assert {record["loss"] for record in skips} <= {"nan", "inf"}


def test_another_recipe_in_the_folder_is_refused(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, max_steps=10)
    train(recipe)
    with pytest.raises(ConfigError, match=r"holds a run of another recipe: seed was 0, now is 1"):
        train(replace(recipe, seed=1))


def test_data_that_have_changed_under_a_run_are_told(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, max_steps=5, save_every_steps=5)
    train(recipe)
    path = next((tmp_path / "data" / "convai2").glob("train*"))
    written = path.read_text(encoding="utf-8")
    path.write_text(written.replace(" i ", " we "), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"run: data was \w+ when state-00000005 was writte"):
        train(recipe)
    path.write_text(written, encoding="utf-8")
    assert train(recipe).reason == "all steps done"


def test_image_vectors_that_have_changed_under_a_run_are_told(tmp_path: Path) -> None:
    features = tiny_features(tmp_path / "one")
    recipe = tiny_recipe(
        tmp_path, tasks=PICTURES, features=features, max_steps=5, save_every_steps=5
    )
    train(recipe)
    moved = replace(recipe, data=replace(recipe.data, features=str(tmp_path / "moved")))
    features.rename(tmp_path / "moved")
    assert train(moved).reason == "all steps done"
    other = tiny_features(tmp_path / "other", IDS[::-1])  # each id is another picture
    changed = replace(recipe, data=replace(recipe.data, features=str(other)))
    message = (
        r"run: features was \w+ when state-00000005 was written, now is \w+; put back the data"
    )
    with pytest.raises(CheckpointError, match=message):
        train(changed)


def test_polarities_that_have_changed_under_a_run_are_told(tmp_path: Path) -> None:
    recipe = tiny_recipe(
        tmp_path,
        tasks=PICTURES,
        features=tiny_features(tmp_path / "one"),
        max_steps=5,
        save_every_steps=5,
    )
    train(recipe)
    path = tmp_path / "data" / "image_chat" / "personalities.json"
    traits = json.loads(path.read_text(encoding="utf-8"))
    traits["negative"].append(traits["positive"].pop())
    path.write_text(json.dumps(traits), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"run: polarities was \w+ when state-00000005"):
        train(recipe)


def test_missing_data_is_told_before_anything_else_is_done(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, tasks=(TaskConfig(name="topical_chat"),))
    with pytest.raises(DataError, match="topical_chat"):
        train(recipe)


def test_accumulation_makes_larger_updates_of_the_same_stream(tmp_path: Path) -> None:
    one = tiny_recipe(tmp_path, out="one", max_steps=10)
    two = tiny_recipe(tmp_path, out="two", max_steps=5, accumulate=2)
    tokens = [records(train(recipe).folder, "end")[0]["tokens"] for recipe in (one, two)]
    assert tokens[0] == tokens[1]


def test_how_often_it_saves_changes_nothing(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, save_every_steps=4)
    other = replace(recipe, out=str(tmp_path / "other"), save_every_steps=30)
    assert_same_run(train(recipe).folder, train(other).folder)


def test_how_often_it_validates_changes_no_weight(tmp_path: Path) -> None:
    runs: list[Recipe] = [
        replace(
            tiny_recipe(tmp_path, max_steps=20),
            out=str(tmp_path / str(every)),
            valid=ValidConfig(every_steps=every),
        )
        for every in (3, 20)
    ]
    states = [load_file(train(r).folder / "state-00000020/state.safetensors") for r in runs]
    assert states[0].keys() == states[1].keys()
    assert all(states[0][name].equal(states[1][name]) for name in states[0])
