"""``openmmb plot`` draws runs and says in one line why it cannot."""

from pathlib import Path

import pytest
import tyro

from openmmb.cli.plot import plot
from openmmb.errors import ConfigError
from openmmb.training.run.log import Log


def run_plot(*args: str) -> None:
    tyro.cli(plot, args=args)


def test_runs_become_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        Log(tmp_path / name, lambda _: None).write("step", {"step": 10, "loss": 2.5})
    with (tmp_path / "b" / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"torn')
    out = tmp_path / "both.png"
    run_plot(str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(out))
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    assert said.err == f"{tmp_path / 'b'}: left out 1 damaged lines of its log\n"
    assert out.read_bytes().startswith(b"\x89PNG")


def test_no_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="RUN: missing"):
        run_plot()


def test_a_name_of_another_format_is_refused(tmp_path: Path) -> None:
    Log(tmp_path / "a", lambda _: None).write("step", {"step": 10, "loss": 2.5})
    for name in ("a.pdf", "a.svg", "a.jpg"):
        with pytest.raises(ConfigError, match=f"{name}: expected the name of a PNG file"):
            run_plot(str(tmp_path / "a"), "--out", str(tmp_path / name))
