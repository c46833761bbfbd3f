"""What README.md and docs/cli.md show is what happens.

In docs/cli.md, a ``console`` block holds commands after ``$`` and below each what it prints. Help
is compared word for word; of the other commands, which print replies, times and paths, only that
they succeed and, where an object is shown, its keys. ``python tests/test_docs.py`` runs them all
and writes what they print into the file.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from openmmb.config import dump
from tests.build import tiny_image
from tests.convert.build import copy_micro
from tests.training.build import tiny_recipe

ROOT = Path(__file__).parent.parent
MANUAL = ROOT / "docs" / "cli.md"
README = ROOT / "README.md"

_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def entries() -> Iterator[tuple[str, str]]:
    """Yield each command of the manual and what it is said to print."""
    for block in _BLOCK.findall(MANUAL.read_text(encoding="utf-8")):
        for entry in _ENTRY.finditer(block):
            yield entry["command"], entry["output"]


def run(command: str, folder: Path) -> str:
    """Run a command as a shell does and return what it prints on standard output."""
    programs = Path(sys.executable).parent
    done = subprocess.run(
        command,
        shell=True,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=folder,
        env=os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"},
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
    return done.stdout


def furnish(folder: Path) -> None:
    """Put what the examples speak of into a folder: photos, a model, a recipe and its data."""
    tiny_image().save(folder / "photo.jpg")
    (folder / "photos").mkdir()
    for seed in range(2):
        tiny_image(seed=seed).save(folder / "photos" / f"{seed}.jpg")
    copy_micro(folder / "parlai-model")
    recipe = tiny_recipe(folder, max_steps=2, valid_every_steps=2)
    mine = replace(recipe, out="runs/mine", data=replace(recipe.data, root="data"))
    (folder / "my-recipe.toml").write_text(dump(mine), encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples run, in any order: the run that some of them speak of is there."""
    folder = tmp_path_factory.mktemp("docs")
    furnish(folder)
    [train] = [c for c, _ in entries() if c.startswith("openmmb train ") and "--help" not in c]
    run(train, folder)
    return folder


@pytest.mark.parametrize(
    ("command", "output"), [entry for entry in entries() if entry[0].endswith("--help")]
)
def test_the_help_in_the_manual_is_up_to_date(command: str, output: str, folder: Path) -> None:
    assert run(command, folder).rstrip() == output.rstrip(), f"run: python {__file__}"


@pytest.mark.parametrize(
    ("command", "output"), [entry for entry in entries() if not entry[0].endswith("--help")]
)
def test_each_command_in_the_manual_succeeds(command: str, output: str, folder: Path) -> None:
    printed = run(command, folder)
    if output.startswith("{"):
        rows, shown = (
            [json.loads(line) for line in text.splitlines()] for text in (printed, output)
        )
        assert [row.keys() for row in rows] == [row.keys() for row in shown]


def test_the_manual_has_every_command() -> None:
    help_text = dict(entries())["openmmb --help"]
    commands = re.findall(r"^  (\w+) ", help_text, re.MULTILINE)
    assert commands
    shown = [command for command, _ in entries()]
    for name in commands:
        assert f"openmmb {name} --help" in shown
        assert any(
            f"openmmb {name} " in f"{command} " and not command.endswith("--help")
            for command in shown
        ), f"{name} has no example"


def test_the_readme_shows_python() -> None:
    assert _PYTHON.search(README.read_text(encoding="utf-8"))


@pytest.mark.parametrize("block", _PYTHON.findall(README.read_text(encoding="utf-8")))
def test_each_python_block_of_the_readme_runs(
    block: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    exec(compile(block, str(README), "exec"), {"__name__": "readme"})
    assert capsys.readouterr().err == ""


def write_manual() -> None:
    """Write into the manual what its commands print now."""
    with tempfile.TemporaryDirectory() as name:
        furnish(Path(name))

        def entry(match: re.Match[str]) -> str:
            printed = run(match["command"], Path(name)).rstrip()
            return f"$ {match['command']}\n{printed}\n".replace("\n\n```", "\n```")

        def block(match: re.Match[str]) -> str:
            return _ENTRY.sub(entry, match[0])

        manual = _BLOCK.sub(block, MANUAL.read_text(encoding="utf-8"))
    MANUAL.write_text(manual, encoding="utf-8")


if __name__ == "__main__":
    write_manual()
