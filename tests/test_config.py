"""A config is read as written, and whatever does not fit is named with its place and value."""

import math
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmmb.config import MAY_BE_INFINITE, config, dump, load, parse
from openmmb.errors import ConfigError


@config
class Inner:
    """A table."""

    rate: float = 1.0
    kind: Literal["slow", "fast"] = "slow"

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError(f"rate must be at least 0, got {self.rate}")


@config
class Outer:
    """A file."""

    name: str
    count: int = 3
    sure: bool = False
    note: str | None = None
    pair: tuple[float, float] = (0.5, 1.5)
    inner: Inner = Inner()
    rows: tuple[Inner, ...] = ()


def write(folder: Path, text: str) -> Path:
    path = folder / "file.toml"
    path.write_text(text, encoding="utf-8")
    return path


inners = st.builds(
    Inner, rate=st.floats(0, allow_infinity=False), kind=st.sampled_from(["slow", "fast"])
)
texts = st.text(st.characters(codec="utf-8"))


@given(
    value=st.builds(
        Outer,
        name=texts,
        count=st.integers(-(2**63), 2**63 - 1),
        sure=st.booleans(),
        note=st.none() | texts,
        pair=st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2),
        inner=inners,
        rows=st.lists(inners, max_size=3).map(tuple),
    )
)
def test_load_inverts_dump(value: Outer, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write(tmp_path_factory.getbasetemp(), "")
    path.write_text(dump(value), encoding="utf-8", newline="")
    assert load(Outer, path) == value


def test_a_config_is_frozen_and_has_only_keywords() -> None:
    value = Outer(name="a")
    with pytest.raises(AttributeError, match="cannot assign to field 'name'"):
        value.name = "b"  # type: ignore[misc]
    with pytest.raises(TypeError, match="positional argument"):
        Outer("a")  # type: ignore[call-arg]


def test_a_mark_before_the_text_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_bytes(b"\xef\xbb\xbf" + b'name = "a"\n')
    assert load(Outer, path) == Outer(name="a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "a"\ncoumt = 1', r"file\.toml: coumt: no key 'coumt'; did you mean 'count'\?$"),
        (
            'name = "a"\nzzz = 1',
            r"file\.toml: zzz: no key 'zzz'; expected one of count, inner, name, ",
        ),
        ('name = "a"\n[inner]\nrat = 1', r"file\.toml: inner\.rat: no key 'rat'; did .* 'rate'\?$"),
        (
            'name = "a"\n[[rows]]\nrate = 1\n[[rows]]\nknd = "slow"',
            r"file\.toml: rows\.1\.knd: no key 'knd'; did you mean 'kind'\?$",
        ),
        ("count = 1", r"file\.toml: name: missing$"),
        ('name = "a"\ncount = "many"', r"file\.toml: count: .* valid integer.*, got 'many'$"),
        ('name = "a"\ncount = 1.5', r"file\.toml: count: .* valid integer.*, got 1\.5$"),
        ("name = 1", r"file\.toml: name: .* valid string, got 1$"),
        ('name = "a"\ninner = 3', r"file\.toml: inner: .*, got 3$"),
        ('name = "a"\npair = [1]', r"file\.toml: pair\.1: .*"),
        ('name = "a"\n[inner]\nkind = "fats"', r"inner\.kind: .*'slow' or 'fast', got 'fats'$"),
        ('name = "a"\n[inner]\nrate = -1', r"file\.toml: inner: rate must be at least 0, got -1"),
        ('name = "a"\n[[rows]]\nrate = -1', r"file\.toml: rows\.0: rate must be at least 0, got"),
        (f'name = "a"\ncount = "{"x" * 500}"', r"got 'x{76}\.\.\.$"),
        ("name", r"file\.toml: expected TOML: Expected '=' after a key"),
    ],
)
def test_what_does_not_fit_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as info:
        load(Outer, write(tmp_path, text))
    assert "\n" not in str(info.value)


def test_each_mistake_has_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, 'coumt = 1\n[inner]\nkind = "fats"\n')
    with pytest.raises(ConfigError) as info:
        load(Outer, path)
    lines = str(info.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{path}: ") for line in lines)


def test_what_is_not_a_text_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file.toml").write_bytes(b"\xff\x00")
    with pytest.raises(
        ConfigError, match=r"file\.toml: expected text in UTF-8: invalid start byte$"
    ):
        load(Outer, tmp_path / "file.toml")
    with pytest.raises(ConfigError, match=r"none\.toml: No such file or directory$"):
        load(Outer, tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r": Is a directory$"):
        load(Outer, tmp_path)


def test_data_that_is_no_table_is_told() -> None:
    data: Any = [1]
    with pytest.raises(ConfigError, match=r"^config: .*, got \[1\]$"):
        parse(Outer, data)


def test_numbers_that_are_whole_may_be_written_without_a_point() -> None:
    assert parse(Outer, {"name": "a", "inner": {"rate": 2}}).inner == Inner(rate=2.0)


@config
class Measured:
    """What is infinite until it was measured."""

    best: float = field(default=math.inf, metadata=MAY_BE_INFINITE)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_is_finite_wherever_it_comes_from(value: float) -> None:
    for make in (lambda: Outer(name="a", inner=Inner(rate=value)), lambda: Inner(rate=value)):
        with pytest.raises(ValueError, match=rf"^rate must be a finite number, got {value}$"):
            make()
    with pytest.raises(ConfigError, match=r"^config: inner: rate must be a finite number, got "):
        parse(Outer, {"name": "a", "inner": {"rate": value}})
    with pytest.raises(ConfigError, match=r"^config: pair must be a finite number, got "):
        parse(Outer, {"name": "a", "pair": [0.5, value]})


def test_what_was_not_measured_may_be_infinite_but_is_a_number() -> None:
    assert parse(Measured, {"best": math.inf}) == Measured()
    with pytest.raises(ConfigError, match="best must be a finite number, got nan"):
        parse(Measured, {"best": math.nan})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("count", True),
        ("count", "3"),
        ("count", 3.0),
        ("pair", [True, 1]),
        ("pair", "12"),
        ("sure", 1),
        ("sure", "yes"),
        ("name", 1),
    ],
)
def test_a_value_is_not_taken_for_one_of_another_type(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^config: {key}.*: Input should be a valid .*, got "):
        parse(Outer, {"name": "a", key: value})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"name = {'[' * 100_000}", "expected TOML: it is nested too deeply"),
        (f"name = {'{a=' * 80_000}", "expected TOML: it is nested too deeply"),
        (f"{'a.' * 100_000}a = 1", "expected TOML: a line has more than 200 dots"),
        (f"name = '{'x' * 2**19}'", "expected TOML of at most 262144 characters"),
        (f"count = {'9' * 5000}", r"expected TOML: Exceeds the limit \(4300 digits\)"),
        (f"count = 0x{'9' * 5000}", "a number has thousands of digits"),
        ("count = 1979-05-27", "1979-05-27 is a date; expected text or a number"),
        ("inner = 1\n" + "[[rows]]\nx = 1\n" * 9000, "name: missing"),
    ],
    ids=["lists", "tables", "dots", "size", "digits", "hexadecimal", "date", "mistakes"],
)
def test_a_file_that_is_made_to_hang_or_crash_is_refused(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message) as info:
        load(Outer, write(tmp_path, text))
    assert len(str(info.value)) < 20_000


def test_data_that_is_too_deep_or_no_text_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(ConfigError, match=r"^config: nested too deeply$"):
        parse(Outer, {"name": "a", "inner": deep})
    with pytest.raises(ConfigError, match=r"^config: "):
        parse(Outer, {"name": "\ud800"})
    with pytest.raises(ConfigError, match=r"^config: inner: rate must be a finite number"):
        parse(Outer, {"name": "a", "inner": {"rate": 10**400}})


PIECES = st.sampled_from(
    [
        *"[]{}=.,\"\n\r #'",
        *("name", "count", "inner", "rows", "pair", "[[rows]]", "[inner]", '"a"', '"""', "\ufeff"),
        *("nan", "-inf", "1e999", "0x" + "f" * 5000, "9" * 5000, "1979-05-27", "true", "a." * 99),
        *("[" * 500, "{a=" * 500, "\x00", "\\ud800", "1_0", "name = 'a'\n"),
    ]
)


@settings(max_examples=100, deadline=None)
@given(text=st.lists(PIECES, max_size=12).map("".join))
def test_any_file_is_a_config_or_lines_that_name_it(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.getbasetemp(), text)
    try:
        load(Outer, path)
    except ConfigError as error:
        problem = str(error)
    else:
        problem = f"{path}: none"
    assert all(line.startswith(f"{path}: ") and len(line) < 600 for line in problem.splitlines())
