"""``openmmb estimate`` computes what a recipe takes, and refuses numbers that mean nothing."""

import pytest

from openmmb.cli import main


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
