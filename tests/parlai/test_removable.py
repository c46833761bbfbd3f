"""ParlAI's command lines are one room: without it and its command, everything else is there."""

import shutil
import subprocess
import sys
from pathlib import Path

import openmmb

PACKAGE = Path(openmmb.__file__).parent
IMPORT_ALL = """
import importlib, pkgutil, openmmb
found = [module.name for module in pkgutil.walk_packages(openmmb.__path__, "openmmb.")]
for name in found:
    if name != "openmmb.__main__":
        importlib.import_module(name)
print(openmmb.__file__, len(found))
"""


def test_nothing_but_its_command_imports_the_room() -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "openmmb.parlai" in path.read_text(encoding="utf-8")
        and path.parent != PACKAGE / "parlai"
    }
    assert users == {"cli/parlai.py"}


def test_without_the_room_and_its_lines_everything_imports(tmp_path: Path) -> None:
    copy = tmp_path / "openmmb"
    ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
    shutil.copytree(PACKAGE, copy, ignore=ignored)
    shutil.rmtree(copy / "parlai")
    (copy / "cli" / "parlai.py").unlink()
    commands = copy / "cli" / "__init__.py"
    lines = commands.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if "parlai" not in line]
    assert len(lines) - len(kept) == 1  # its command
    commands.write_text("\n".join(kept), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
    )
    where, count = done.stdout.split()
    assert Path(where).parent == copy
    assert int(count) > 100
