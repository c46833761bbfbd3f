"""A config is read as written, and whatever does not fit is named with its place and value."""

import math
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.config import config, dump, load, parse
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
    assert math.isinf(parse(Inner, {"rate": math.inf}).rate)
