"""``openmmb evaluate`` measures what a recipe keeps, or any split of any data sets."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openmmb import config
from openmmb.checkpoint import save_checkpoint
from openmmb.cli import main
from tests.build import TINY_F, TINY_I, tiny_checkpoint, tiny_features
from tests.training.build import PICTURES, TEXT, tiny_recipe

Measure = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint, data, image vectors and two recipes."""
    folder = tmp_path_factory.mktemp("evaluate")
    checkpoint = tiny_checkpoint(
        encoder="tiny", image_vectors=TINY_I, image_dim=TINY_F, gender="f0m0"
    )
    save_checkpoint(checkpoint, folder / "checkpoint", precision="fp32")
    features = tiny_features(folder / "vectors")
    for name, tasks in (("pictures", PICTURES), ("text", TEXT)):
        recipe = tiny_recipe(folder, tasks=tasks, features=features)
        (folder / f"{name}.toml").write_text(config.dump(recipe), encoding="utf-8")
    return folder


@pytest.fixture
def measure(folder: Path, capsys: pytest.CaptureFixture[str]) -> Measure:
    """Run the command with ``--json`` and return its rows."""

    def run(*args: str) -> list[dict[str, Any]]:
        assert main(["evaluate", str(folder / "checkpoint"), *args, "--json"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_data_sets_are_named_or_come_from_a_recipe(folder: Path, measure: Measure) -> None:
    root = ["--root", str(folder / "data"), "--no-replies"]
    named = measure("--tasks", "convai2, dailydialog,convai2", *root)
    assert [row["task"] for row in named] == ["convai2", "dailydialog"]
    recipe = measure(str(folder / "text.toml"), "--no-replies")
    assert [row["task"] for row in recipe] == ["convai2", "dailydialog"]
    # The recipe's replies have no control; by name they have the one of their own words.
    assert named != recipe
    assert [row["perplexity_uncontrolled"] for row in named] == [
        row["perplexity"] for row in recipe
    ]
    only = measure(str(folder / "text.toml"), "--tasks", "dailydialog", "--no-replies")
    assert only == recipe[1:]
    assert all(row["replies"] == [] for row in recipe)


def test_the_split_says_which_examples(folder: Path, measure: Measure) -> None:
    for path in (folder / "data" / "dailydialog").glob("*train*"):
        lines = path.read_text(encoding="utf-8")
        assert lines
    root = ["--root", str(folder / "data"), "--no-replies", "--tasks", "convai2"]
    assert measure(*root, "--split", "train") == measure(*root)  # the same here
    assert main(["evaluate", str(folder / "checkpoint"), *root, "--split", "test"]) == 2


def test_replies_are_measured_without_and_with_the_control(folder: Path, measure: Measure) -> None:
    (folder / "words").mkdir()
    (folder / "words" / "male_word_file.txt").write_text("he\n", encoding="utf-8")
    (folder / "words" / "female_word_file.txt").write_text("she\n", encoding="utf-8")
    rows = measure(
        str(folder / "pictures.toml"),
        "--ban-gendered-words",
        "--gender-words",
        str(folder / "words"),
        "--max-examples",
        "2",
    )
    assert [row["bleu4"] is None for row in rows] == [True, False]
    for row in rows:
        assert [reply["setting"] for reply in row["replies"]] == [
            "uncontrolled",
            "f0m0",
            "f0m0, banned",
            "positive/neutral",
            "negative",
        ]
        for reply in row["replies"]:
            assert reply["replies"] == row["examples"] == 2
            assert set(reply["offensive"]) == {"words", "classifier"}
            assert set(reply["male"]) == set(reply["female"]) == {"own", "words"}


def test_only_the_pictures_that_are_measured_need_image_vectors(
    folder: Path, tmp_path: Path, measure: Measure, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--root", str(folder / "data"), "--tasks", "flickr8k", "--no-replies", "--features"]
    whole = measure(*flags, str(folder / "vectors" / "features"), "--max-examples", "1")
    some = tiny_features(tmp_path, ("11_aa",))
    part = measure(*flags, str(some), "--max-examples", "1")
    assert part[0]["examples"] == whole[0]["examples"] == 1
    assert main(["evaluate", str(folder / "checkpoint"), *flags, str(some)]) == 2
    assert "no image vectors for 1 of 2 pictures, first 22_bb" in (capsys.readouterr().err)


def test_replies_are_saved_and_taken_from_there(
    folder: Path, tmp_path: Path, measure: Measure
) -> None:
    flags = [str(folder / "text.toml"), "--max-examples", "2"]
    saving = [*flags, "--replies", str(tmp_path / "replies.jsonl")]
    first = measure(*saving)
    lines = (tmp_path / "replies.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[1:]]
    assert {row["setting"] for row in rows} == {"uncontrolled", "f0m0"}
    assert {row["task"] for row in rows} == {"convai2", "dailydialog"}
    assert {"reply", "people", "context", "sentiment", "gendered", "refused"} <= rows[0].keys()
    assert measure(*saving) == first == measure(*flags)
    assert (tmp_path / "replies.jsonl").read_text(encoding="utf-8").splitlines() == lines


def test_a_table_is_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["evaluate", str(folder / "checkpoint"), str(folder / "pictures.toml")]
    assert main([*args, "--max-examples", "1"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].startswith("image_chat                  1 examples  perplexity ")
    assert "captions BLEU-4" in lines[6]
    heads = ("replies", "F1", "BLEU-4", "ROUGE-L", "words", "distinct-2", "20", "commonest")
    assert tuple(lines[1].split()[:8]) == heads
    assert [line.split()[0] for line in lines[2:6]] == [
        "uncontrolled",
        "f0m0",
        "positive/neutral",
        "negative",
    ]
    assert "replies: 10 of 10" in shown.err


def test_a_model_is_measured_on_what_its_recipe_keeps(
    folder: Path, tmp_path: Path, measure: Measure
) -> None:
    recipe = tiny_recipe(folder, tasks=(replace(TEXT[1], holdout=0.5),))
    (tmp_path / "part.toml").write_text(config.dump(recipe), encoding="utf-8")
    kept = measure(str(tmp_path / "part.toml"), "--no-replies")
    names = ["--tasks", "dailydialog", "--root", str(folder / "data"), "--no-replies"]
    assert kept[0]["examples"] < measure(*names, "--split", "train")[0]["examples"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "nothing to measure; use a RECIPE, or --tasks with data sets"),
        (["--tasks", "convai"], "no data set 'convai'; did you mean 'convai2'?"),
        (["--tasks", "image_chat"], "features: missing, but these data sets have pictures"),
        (
            ["text.toml", "--tasks", "x"],
            "--tasks: 'x' is not in text.toml; expected one of convai2, d",
        ),
        (["text.toml", "--split", "test"], "--split: the recipe says which examples"),
        (["text.toml", "--max-examples", "0"], "--max-examples: must be at least 1, got 0"),
        (["text.toml", "--batch-size", "0"], "--batch-size: must be at least 1, got 0"),
        (["text.toml", "--max-examples", f"{2**80}"], "--max-examples: must be at most 2147483647"),
        (["text.toml", "--batch-size", "-1"], "--batch-size: must be at least 1, got -1"),
        (["text.toml", "--json", "--format", "html"], "--json: excludes --format html"),
        (["text.toml", "--gender-words", "absent"], "absent/male_word_file.txt: No such file"),
        (
            ["text.toml", "--replies", "text.toml"],
            "text.toml: is there, and is not a file of replies",
        ),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    folder: Path,
    flags: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    assert main(["evaluate", "checkpoint", *flags]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("openmmb evaluate: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_image_vectors_of_another_encoder_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "other", precision="fp32")
    assert main(["evaluate", str(tmp_path / "other"), str(folder / "pictures.toml")]) == 2
    assert "image vectors (4, 8) of 'tiny', expected (49, 1280) of 'efficientnet_lite0'" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(("form", "begin"), [("markdown", "# "), ("html", "<!DOCTYPE html>")])
def test_a_document_is_printed_when_everything_is_measured(
    folder: Path, form: str, begin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [str(folder / "checkpoint"), str(folder / "text.toml"), "--max-examples", "1"]
    assert main(["evaluate", *args, "--format", form]) == 0
    out = capsys.readouterr().out
    assert out.startswith(begin)
    assert "Replies to convai2" in out
    assert "Replies to dailydialog" in out
