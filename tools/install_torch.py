"""Install the build of PyTorch that suits this machine, before anything else asks for PyTorch.

On Linux, PyPI's PyTorch is a CUDA build, gigabytes that only an NVIDIA card has a use for;
PyTorch's own index has one for the CPU. That is taken where no NVIDIA driver is seen, unless pip
is already told where to look. ``make`` runs this with the Python of the environment to install
into; it needs the standard library only.
"""

import argparse
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
SECONDS = 20.0
"""How long PyTorch's index may take to say what it has."""
CUDA_SIZE = "about 2.5 GB to download and 5 GB on disk"
DRIVER = Path("/proc/driver/nvidia")
"""There while the driver is loaded, except in WSL, which has only ``nvidia-smi``."""

_TOLD = re.compile(
    r"^(?:global|install|:env:)\.((?:extra-)?index-url|find-links|no-index)=", re.MULTILINE
)
_VERSION = re.compile(r"\d[\w.]*(?:\+[\w.]+)?")


def driver_seen(driver: Path = DRIVER) -> bool:
    """Say whether an NVIDIA driver is at work here."""
    if driver.exists():
        return True
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    try:  # it may have come with a package, to a machine without a card
        done = subprocess.run([program, "-L"], capture_output=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def told_where() -> str | None:
    """Return the setting that tells pip where to look, by a file or the environment, or None."""
    settings = pip("config", "list").stdout
    match = _TOLD.search(settings)
    return match[1] if match else None


def offers(index: str, version: str, seconds: float = SECONDS) -> bool:
    """Say whether an index answers in time and has that version for this Python."""
    patience = ("--timeout", str(seconds), "--retries", "0")
    try:
        listed = pip("index", "versions", "torch", "--index-url", index, *patience, seconds=seconds)
    except subprocess.TimeoutExpired:
        return False
    return version in {each.partition("+")[0] for each in _VERSION.findall(listed.stdout)}


def pinned_version(constraints: Path) -> str:
    """Return the version of PyTorch that a constraints file asks for."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("torch==")).removeprefix("torch==")


def installed_version() -> str | None:
    """Return the version of PyTorch that is installed, whatever its build, or None."""
    try:
        return metadata.version("torch").partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def pip(*args: str, seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run this Python's pip and keep what it prints."""
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


def install(index: str, constraints: Path) -> bool:
    """Install from an index, pip's progress in sight; say whether it went well."""
    options = ("--index-url", index, "--constraint", str(constraints), "--no-deps")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *options]
    return subprocess.run([*command, "torch"], check=False).returncode == 0


def main(args: list[str] | None = None) -> None:
    """Install the CPU build, or say why pip's own choice will do."""
    parser = argparse.ArgumentParser(description="Install the build of PyTorch that suits.")
    parser.add_argument("constraints", type=Path, help="file that pins its version")
    parser.add_argument("--index", default=CPU_INDEX, help="where the CPU build is")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long it may take")
    options = parser.parse_args(args)
    version = pinned_version(options.constraints)
    if installed_version() == version:
        return
    if not sys.platform.startswith("linux"):
        say("as PyPI has it")
    elif driver_seen():
        say(f"PyPI's build with CUDA, since there is an NVIDIA driver: {CUDA_SIZE}")
    elif setting := told_where():
        say(f"from where pip is told to look (its setting {setting})")
    elif not offers(options.index, version, options.seconds):
        say(
            f"PyPI's build, since {options.index} did not offer {version} for this Python within "
            f"{options.seconds:g} s. It brings CUDA, {CUDA_SIZE}. To use another index, stop this "
            "and set PIP_EXTRA_INDEX_URL."
        )
    else:
        say(f"the build for the CPU, from {options.index}")
        if not install(options.index, options.constraints):
            say(f"that failed; PyPI's build comes instead. It brings CUDA, {CUDA_SIZE}.")


def say(what: str) -> None:
    """Print a line on PyTorch, ahead of what pip prints."""
    print(f"PyTorch: {what}", flush=True)


if __name__ == "__main__":
    main()
