"""Set-up takes PyTorch's CPU build where no NVIDIA driver is seen and pip is told no index.

The index here is a real one, on this machine; what it has is called torch and is empty.
"""

import functools
import http.server
import os
import socket
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.install_torch import driver_seen, pinned_version, told_where

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "tools" / "install_torch.py"
METADATA = "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0+cpu\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is for Linux")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def constraints(tmp_path: Path) -> Path:
    path = tmp_path / "constraints.txt"
    path.write_text("# pins\nnumpy==2.0\ntorch==2.13.0\n")
    return path


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """An index that has torch 2.13.0+cpu."""
    folder = tmp_path / "index" / "torch"
    folder.mkdir(parents=True)
    name = "torch-2.13.0+cpu-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        info = "torch-2.13.0+cpu.dist-info"
        files = {f"{info}/METADATA": METADATA, f"{info}/WHEEL": WHEEL}
        for path, text in files.items():
            wheel.writestr(path, text)
        record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
        wheel.writestr(f"{info}/RECORD", record)
    (folder / "index.html").write_text(f'<a href="{name.replace("+", "%2B")}">{name}</a>')
    handler = functools.partial(Quiet, directory=folder.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def python(tmp_path: Path) -> str:
    """Python of an environment without PyTorch, whose pip is that of the tests."""
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    [ours] = {Path(path) for path in sys.path if (Path(path) / "pip" / "__main__.py").exists()}
    (folder / "lib" / version / "site-packages" / "pip").symlink_to(ours / "pip")
    return str(folder / "bin" / "python")


def set_up(python: str, *args: str | Path, **settings: str) -> tuple[str, list[str]]:
    """Run the script where pip is told nothing but ``settings``.

    Returns:
        Its own line on PyTorch, and the versions of torch that are then installed.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    env |= {"PIP_CONFIG_FILE": os.devnull, "PATH": "/nowhere"} | settings
    command = [python, str(SCRIPT), *map(str, args)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("PyTorch: ")]
    installed = Path(python).parent.parent.rglob("torch-*.dist-info")
    return "\n".join(lines), [path.stem for path in installed]


def add_driver(folder: Path, *, code: int) -> Path:
    """Put an ``nvidia-smi`` that ends with ``code`` into a folder and return the folder."""
    folder.mkdir()
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)
    return folder


def test_without_a_driver_it_is_the_cpu_build(python: str, constraints: Path, index: str) -> None:
    other = {"PIP_DEFAULT_TIMEOUT": "9"}  # says nothing of where to look
    said, versions = set_up(python, constraints, "--index", index, **other)
    assert said == f"PyTorch: the build for the CPU, from {index}"
    assert versions == ["torch-2.13.0+cpu"]
    assert set_up(python, constraints, "--index", index) == ("", versions)  # nothing left to do


def test_with_a_driver_it_is_that_of_pypi(
    python: str, constraints: Path, index: str, tmp_path: Path
) -> None:
    path = add_driver(tmp_path / "bin", code=0)
    said, versions = set_up(python, constraints, "--index", index, PATH=str(path))
    assert said.startswith("PyTorch: PyPI's build with CUDA, since there is an NVIDIA driver")
    assert versions == []


def test_the_driver_is_seen_by_what_it_leaves_or_what_its_program_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "driver"
    monkeypatch.setenv("PATH", "/nowhere")
    assert not driver_seen(driver)
    monkeypatch.setenv("PATH", str(add_driver(tmp_path / "no card", code=9)))
    assert not driver_seen(driver)
    monkeypatch.setenv("PATH", str(add_driver(tmp_path / "card", code=0)))
    assert driver_seen(driver)
    monkeypatch.setenv("PATH", "/nowhere")
    driver.mkdir()
    assert driver_seen(driver)


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("index-url", "environment"),
        ("extra-index-url", "environment"),
        ("find-links", "environment"),
        ("no-index", "environment"),
        ("index-url", "global"),
        ("extra-index-url", "install"),
    ],
)
def test_what_tells_pip_where_to_look_is_noticed(
    name: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    value = "true" if name == "no-index" else "https://example.org/simple"
    if by == "environment":
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv(f"PIP_{name.upper().replace('-', '_')}", value)
    else:
        (tmp_path / "pip.conf").write_text(f"[{by}]\n{name} = {value}\ntimeout = 9\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    told = told_where()
    assert told == name or (told and by != "environment")  # a file of the machine's comes first


def test_where_pip_is_told_to_look_is_respected(python: str, constraints: Path, index: str) -> None:
    said, versions = set_up(python, constraints, "--index", index, PIP_EXTRA_INDEX_URL=index)
    assert said == "PyTorch: from where pip is told to look (its setting extra-index-url)"
    assert versions == []


def test_an_index_without_the_version_is_passed_over(
    python: str, constraints: Path, index: str
) -> None:
    constraints.write_text("torch==2.14.1\n")
    said, versions = set_up(python, constraints, "--index", index)
    assert f"{index} did not offer 2.14.1 for this Python" in said
    assert "2.5 GB to download" in said
    assert "PIP_EXTRA_INDEX_URL" in said
    assert versions == []


def test_an_index_that_cannot_be_reached_is_passed_over(python: str, constraints: Path) -> None:
    with socket.socket() as free:  # a port that nobody listens at
        free.bind(("127.0.0.1", 0))
        index = f"http://127.0.0.1:{free.getsockname()[1]}"
        said, versions = set_up(python, constraints, "--index", index)
    assert said.startswith(f"PyTorch: PyPI's build, since {index} did not offer 2.13.0")
    assert versions == []


def test_an_index_that_never_answers_is_given_up(python: str, constraints: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        index = f"http://127.0.0.1:{mute.getsockname()[1]}"
        said, versions = set_up(python, constraints, "--index", index, "--seconds", "1.5")
    assert f"{index} did not offer 2.13.0 for this Python within 1.5 s" in said
    assert versions == []


def test_a_build_that_is_listed_and_cannot_be_had_is_said(
    python: str, constraints: Path, index: str, tmp_path: Path
) -> None:
    [wheel] = (tmp_path / "index" / "torch").glob("*.whl")
    wheel.write_bytes(b"cut")
    said, versions = set_up(python, constraints, "--index", index)
    assert said.splitlines()[1].startswith("PyTorch: that failed; PyPI's build comes instead.")
    assert versions == []


def test_the_version_is_the_one_that_is_pinned() -> None:
    pinned = pinned_version(ROOT / "constraints.txt")
    assert f"torch=={pinned}" in (ROOT / "constraints.txt").read_text().splitlines()
