"""A run's log becomes curves, and curves a picture."""

import math
import sys
from pathlib import Path

import pytest
from PIL import Image

from openmmb.errors import ConfigError, DataError
from openmmb.training.plot import SMOOTH, RunCurves, plot, read_curves
from openmmb.training.run.log import Log


def write_run(run: Path, *, updates: int = 4) -> Path:
    log = Log(run, lambda _: None)
    log.write("start", {"step": 0, "max_steps": 10 * updates, "parameters": 7})
    for step in range(10, 10 * updates + 1, 10):
        numbers = {"step": step, "tokens": 9 * step, "seconds": 0.1 * step, "ppl": 20.0}
        numbers["padding"] = 0.07
        log.write("step", {**numbers, "loss": 3 - step / 1e3, "lr": 1e-4, "tokens_per_s": 90.0})
    log.write("valid", {"step": 20, "ppl": 22.0, "best": 22.0, "ppl/convai2": 22.0})
    log.write("valid", {"step": 40, "ppl": math.inf, "best": 22.0, "f1/hate": 0.5})
    return run


def test_every_number_is_a_curve_over_the_updates(tmp_path: Path) -> None:
    read = read_curves(write_run(tmp_path / "one"))
    assert (read.name, read.damaged) == ("one", 0)
    assert read.panels == {
        "training loss": [(10, 2.99), (20, 2.98), (30, 2.97), (40, 2.96)],
        "learning rate": [(step, 1e-4) for step in (10, 20, 30, 40)],
        "tokens a second": [(step, 90.0) for step in (10, 20, 30, 40)],
        "share of padding": [(step, 0.07) for step in (10, 20, 30, 40)],
        "validation perplexity, mean": [(20, 22.0)],
        "validation perplexity, convai2": [(20, 22.0)],
        "validation f1, hate": [(40, 0.5)],
    }
    assert read_curves(tmp_path / "one" / "log.jsonl") == read


def test_damaged_lines_are_counted(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    with (run / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "step", "st\n{"kind": "step", "loss": 2.0}\n')
    assert read_curves(run).damaged == 1


@pytest.mark.parametrize("updates", [1, SMOOTH + 3])
def test_runs_are_drawn_over_each_other(tmp_path: Path, updates: int) -> None:
    runs = [read_curves(write_run(tmp_path / name, updates=updates)) for name in ("a", "b")]
    plot(runs, tmp_path / "both.png")
    with Image.open(tmp_path / "both.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1500
        colours = {colour for _, colour in picture.convert("RGB").getcolors(10**6) or []}
    assert {(31, 119, 180), (255, 127, 14)} <= colours  # matplotlib's first two


def test_a_number_that_spans_decades_and_one_that_hardly_moves_both_have_ticks(
    tmp_path: Path,
) -> None:
    curves = {
        "validation perplexity, mean": [(1.0, 9000.0), (2.0, 12.0)],
        "validation perplexity, convai2": [(1.0, 12.5), (2.0, 12.0)],
    }
    plot([RunCurves(name="x", panels=curves, damaged=0)], tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 5000


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"log\.jsonl: No such file.*; expected the folder of a run"
    ):
        read_curves(tmp_path)
    with pytest.raises(ConfigError, match="gone: No such file"):
        read_curves(tmp_path / "gone")


def test_a_log_without_numbers_is_refused(tmp_path: Path) -> None:
    Log(tmp_path, lambda _: None).write("start", {"step": 0, "parameters": 7})
    with pytest.raises(DataError, match=r"no numbers of updates or validations yet$"):
        read_curves(tmp_path)
    (tmp_path / "log.jsonl").write_text("\x00\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"yet \(damaged lines: 1\)$"):
        read_curves(tmp_path)


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = read_curves(write_run(tmp_path))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        ConfigError, match="matplotlib is not installed; use pip install matplotlib"
    ):
        plot([run], tmp_path / "x.png")
