"""The rules of the house that no other tool checks."""

import ast
import importlib
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "openmmb"
TESTS = ROOT / "tests"
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = [path for path in FILES if path.name != "__init__.py"]
MAX_LINES = 400
VAGUE = {"utils", "util", "helpers", "common", "base", "core", "manager", "misc"}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_signature_says_what_a_function_takes(path: Path) -> None:
    assert [f"{f.name}(**{f.args.kwarg.arg})" for f in functions_of(path) if f.args.kwarg] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_name_says_what_a_module_is(path: Path) -> None:
    assert not {path.stem, *path.relative_to(PACKAGE).parts} & VAGUE


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_has_a_docstring_and_can_be_imported(path: Path) -> None:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    assert importlib.import_module(".".join(("openmmb", *parts))).__doc__


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.stem)
def test_a_test_file_begins_with_its_contract(path: Path) -> None:
    contract = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert contract
    assert contract.split("\n\n")[0].endswith(".")


def test_a_test_file_has_the_place_of_its_module() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    found = {path.name for path in TESTS.iterdir() if path.is_dir()} - {"__pycache__"}
    assert found <= rooms
    assert not list(TESTS.rglob("__init__.py"))


def test_every_folder_and_module_is_a_layer() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    assert contract["exhaustive"]
    layers = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    layers |= set(contract["exhaustive_ignores"])
    there = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert there - {"__init__"} <= layers


def test_no_name_is_imported_by_star() -> None:
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not [alias for node in imports for alias in node.names if alias.name == "*"], path
