"""What README.md says to type works, in the order of the page, in one new shell.

``make`` finds its environment set up: it is that of the tests. What pip would fetch is not fetched.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.config import dump
from tests.build import tiny_image
from tests.training.build import tiny_recipe

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(
    r"^```sh\n(.*?)^```$",
    (ROOT / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
LINES = [line for block in BLOCKS for line in block.splitlines() if line]
PIP = [line for line in LINES if line.startswith("pip ")]
SERVERS = [line for line in LINES if line.split()[:2] in (["make", "serve"], ["openmmb", "serve"])]
"""They do not end; ``tests/serve`` is about them."""


def write_checkout(folder: Path) -> None:
    """Fill a folder with what the page speaks of: a checkout that is set up, photos, a recipe."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "tools", "src"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    tiny_image().save(folder / "photo.jpg")
    (folder / "photos").mkdir()
    tiny_image(seed=1).save(folder / "photos" / "1.jpg")
    recipe = tiny_recipe(folder, max_steps=2, valid_every_steps=2)
    recipe = replace(recipe, out="runs/my-run", data=replace(recipe.data, root="data"))
    (folder / "my-recipe.toml").write_text(dump(recipe), encoding="utf-8")


def set_up(folder: Path) -> None:
    """Make an environment in which what is installed here is installed, as ``make`` leaves it."""
    venv.create(folder / ".venv", with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site_packages = folder / ".venv" / "lib" / version / "site-packages"
    (site_packages / "here.pth").write_text("\n".join([str(ROOT / "src"), *sys.path]))
    for name, module in (("openmmb", "openmmb"), ("pytest", "pytest")):
        program = folder / ".venv" / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "${{0%/*}}/python" -m {module} "$@"\n')
        program.chmod(0o755)
    (folder / ".venv" / "base").write_text(f"{folder.resolve()}\n")
    (folder / ".venv" / "dev").touch()


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_each_command_of_the_page_works_in_a_new_shell(tmp_path: Path) -> None:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    write_checkout(folder)
    set_up(folder)
    kept = {
        name: os.environ[name] for name in ("HOME", "LANG", "OMP_NUM_THREADS") if name in os.environ
    }
    done = subprocess.run(
        ["sh", "-e", "-x", "-c", "\n".join(line for line in LINES if line not in (*PIP, *SERVERS))],
        cwd=folder,
        env=kept | {"PATH": os.defpath, "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_what_pip_is_told_to_install_is_there() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    extras = settings["project"]["optional-dependencies"]
    assert PIP
    for line in PIP:
        command = line.partition("#")[0].strip()
        if match := re.fullmatch(
            r"pip install -c constraints.txt -e '?\.(?:\[(\w+)\])?'?", command
        ):
            assert match[1] is None or match[1] in extras
        else:
            pinned = re.fullmatch(r"pip install --no-deps (\S+)", command)
            assert pinned, command
            assert pinned[1] in pins


PAGES = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", sorted(["README.md", *PAGES]))
def test_no_page_puts_a_copy_in_the_place_of_the_checkout(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    copies = re.findall(r"^pip install (?!.*-e).*['\" ]\.(?:\[|['\" ]|$)", text, re.MULTILINE)
    assert copies == []


def test_the_page_names_the_version_of_pytorch_that_is_pinned() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    [named] = re.findall(r"`pip install (torch==\S+) --index-url", (ROOT / "README.md").read_text())
    assert named in pins
