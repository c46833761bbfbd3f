"""``openmmb estimate`` computes what a recipe takes, and refuses numbers that mean nothing."""

from pathlib import Path

import pytest

from openmmb import config
from openmmb.cli import main
from openmmb.training.train import train
from tests.training.build import tiny_recipe


def test_a_recipe_is_estimated_without_data_or_checkpoint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["estimate", "tiny-1-text", "--size", "90M"]) == 0
    shown = capsys.readouterr().out
    assert "GB a device" in shown
    assert "s an update" in shown


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("--devices", "0", "must be at least 1, got 0"),
        ("--tflops", "0", "must be above 0, got 0"),
        ("--tflops", "nan", "must be above 0, got nan"),
        ("--tflops", "inf", "must be above 0, got inf"),
        ("--use", "0", "must be above 0 and at most 1, got 0"),
        ("--use", "1.5", "must be above 0 and at most 1, got 1.5"),
        ("--link", "-1", "must be above 0, got -1"),
    ],
)
def test_a_number_that_means_nothing_is_one_line(
    flag: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["estimate", "tiny-1-text", flag, value]) == 2
    assert capsys.readouterr().err == f"openmmb estimate: {flag}: {expected}\n"


def test_a_recipe_of_a_classifier_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for args in (
        ["estimate", "safety"],
        ["data", "stats", "safety"],
        ["evaluate", "tiny", "safety"],
    ):
        assert main(args) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith(
            "safety.toml: trains a classifier; expected a recipe of a model that talks"
        )


def test_the_parameters_are_those_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny_recipe(tmp_path, max_steps=1)
    (tmp_path / "mine.toml").write_text(config.dump(recipe))
    records: list[dict[str, float | str]] = []
    train(recipe, watch=records.append)
    assert main(["estimate", str(tmp_path / "mine.toml")]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(f"{records[0]['parameters']:,} parameters, 1 x 989 TFLOP/s")


def test_a_start_that_is_not_there_yet_is_one_line_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny_recipe(tmp_path, start=str(tmp_path / "none"))
    (tmp_path / "mine.toml").write_text(config.dump(recipe))
    assert main(["estimate", str(tmp_path / "mine.toml")]) == 2
    complaint = capsys.readouterr().err
    assert complaint.endswith("none: no checkpoint here; use --size (tiny, 90M, 400M, 2.7B)\n")
    assert main(["estimate", str(tmp_path / "mine.toml"), "--size", "90M"]) == 0
