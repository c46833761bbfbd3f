"""The rules of the house that no other tool checks."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "openmmb"
TESTS = ROOT / "tests"
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = [path for path in FILES if path.name != "__init__.py"]
MAX_LINES = 400
MAX_CLASS_LINES = 150
MAX_FUNCTION_LINES = 60
SAME_FOR_ANOTHER_KIND = {
    "__init__",
    "batcher",  # of examples, of requests
    "causal",  # a network, its conversion
    "classifier",  # a network, its conversion, its check
    "config",  # of a room
    "huggingface",  # checkpoints, classifiers
    "loader",  # of replies, of texts to judge
    "objective",  # of replies, of verdicts, and what both are
    "prepare",  # of replies, of verdicts
    "start",  # of replies, of verdicts, and what both share
}
"""Stems of several modules: the same thing for another kind. A command has the name of what it
calls besides."""
OTHERS_INTERNALS = {
    "cli/serve.py": {"_exit"},  # os: a server that is told to end does not wait for its model
    "cli/talk.py": {"_exit"},  # os: whoever leaves a chat does not wait for its model
    "data/prefetch.py": {"_exit"},  # os: a worker that ends without Python's goodbye
    "engine": {  # torch
        "_C",
        "_has_mkldnn",
        "_is_avx512_bf16_supported",
        "_is_mkldnn_bf16_supported",
        "_is_vnni_supported",
        "_linear_pointwise",
        "_reorder_linear_weight",
    },
    "training/run/optim.py": {"_foreach_norm"},  # torch
    "training/run/steps.py": {"_foreach_mul_"},  # torch
    "vision/detector/fused.py": {
        "_C",
        "_has_mkldnn",
        "_reorder_linear_weight",
        "_linear_pointwise",
        "_convolution_pointwise",
        "_convolution_pointwise_",
    },  # torch
    "vision/features/shards.py": {"_asdict"},  # a named tuple's own
    "training/run/stop.py": {"_HANDLER"},  # signal's type
}
"""Names of other projects' internals that there is no public way to."""
ONLY_IN = {
    r"torch\.cuda\.(is_available|device_count)": {"distributed.py"},
    r"\"(RANK|LOCAL_RANK|WORLD_SIZE)\"": {"distributed.py"},
    r"get_close_matches": {"errors.py"},
    r"UnicodeDecodeError": {"files.py"},
    r"\.rename\(|os\.replace\(": {"files.py"},
    r"\.replace\(path\)": {"files.py", "tasks/download/resumable.py"},
}
"""What is done in one place."""
WORDS_OF_A_TRANSLATION = ("would be right", "is right", "there are: ", "which there is not")
WORDS_OF_FIVE_MEANINGS = {"said", "place", "part", "found", "room", "some"}
"""A variable is named for what it holds: turns, an index, a shard, matches, buffers, rows."""
BROAD = re.compile(r"\s*except(:|.*\b(Base)?Exception\b)")
"""What catches whatever it was."""
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


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_variable_says_what_it_holds(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    names |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    assert names & WORDS_OF_FIVE_MEANINGS == set()


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


def classes_of(path: Path) -> list[ast.ClassDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def length(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def length_of_code(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return length(node) - len((ast.get_docstring(node, clean=False) or "").splitlines())


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_class_and_a_function_are_short(path: Path) -> None:
    assert [c.name for c in classes_of(path) if length(c) > MAX_CLASS_LINES] == []
    assert [f.name for f in functions_of(path) if length_of_code(f) > MAX_FUNCTION_LINES] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nobody_reaches_into_what_is_private(path: Path) -> None:
    room = name_of(path)
    allowed = {
        name
        for place, names in OTHERS_INTERNALS.items()
        if room.startswith(place)
        for name in names
    }
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("openmmb"):
            found += [alias.name for alias in node.names if alias.name.startswith("_")]
        if isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not own and node.attr not in allowed:
                found.append(ast.unparse(node))
    assert found == []


def test_the_name_of_a_module_is_that_of_one_thing() -> None:
    homes: dict[str, set[str]] = {}
    for path in FILES:
        if path.relative_to(PACKAGE).parts[0] != "cli":
            homes.setdefault(path.stem, set()).add(name_of(path))
    shared = {stem for stem, rooms in homes.items() if len(rooms) > 1}
    assert shared - SAME_FOR_ANOTHER_KIND == set()
    assert shared >= SAME_FOR_ANOTHER_KIND  # none is listed that need not be


@pytest.mark.parametrize("pattern", ONLY_IN)
def test_what_is_done_in_one_place_is_done_nowhere_else(pattern: str) -> None:
    places = {
        name_of(path) for path in FILES if re.search(pattern, path.read_text(encoding="utf-8"))
    }
    assert places == ONLY_IN[pattern]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_messages_are_in_plain_english(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [words for words in WORDS_OF_A_TRANSLATION if words in text] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_broad_except_has_its_reason_beside_it(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    bare = [
        f"{path}:{number}"
        for number, line in enumerate(lines, start=1)
        if BROAD.match(line) and "#" not in line and not lines[number - 2].lstrip().startswith("#")
    ]
    assert not bare


def test_every_room_is_in_the_picture_of_the_house() -> None:
    """The README's tree and docs/architecture.md tell of every room, and of none that is not."""
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"}
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    for page in (ROOT / "README.md", ROOT / "docs" / "architecture.md"):
        text = page.read_text(encoding="utf-8")
        told = set(re.findall(r"`?\b([a-z_0-9]+)/(?=`| {2}|,)", text))
        assert rooms <= told, page
        assert [name for name in modules if name not in text] == [], page
