"""Typed configs: frozen dataclasses in code, TOML on disk, flags of the same names.

One rule: ``None`` may only be a default, since TOML has no null. Then ``parse(dump(c)) == c``.
"""

import dataclasses
import difflib
import tomllib
import typing
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform

import tomli_w
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from openmmb.errors import ConfigError, shorten

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen, keyword-only dataclass that refuses unknown keys."""
    cls.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


def require(name: str, value: object, right: str, *, holds: bool) -> None:
    """Refuse a setting that does not hold.

    Raises:
        ValueError: It does not; says what it must be.
    """
    if not holds:
        raise ValueError(f"{name} must be {right}, got {value}")


def load(cls: type[T], path: Path) -> T:
    """Read a TOML file into ``cls``.

    Raises:
        ConfigError: The file is missing, is not TOML, or does not fit ``cls``.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors put a mark before the text
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file: {error.reason}") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    return parse(cls, data, source=str(path))


def parse(cls: type[T], data: dict[str, Any], *, source: str = "config") -> T:
    """Check plain data against ``cls`` and build it.

    Raises:
        ConfigError: One line for each key that is unknown, missing, or of the wrong type.
    """
    try:
        return TypeAdapter(cls).validate_python(data)
    except ValidationError as error:
        lines = [_explain(cls, source, detail) for detail in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def dump(value: Any) -> str:
    """Write a config as TOML; the inverse of ``parse``."""
    data = TypeAdapter(type(value)).dump_python(value, mode="json", exclude_none=True)
    return tomli_w.dumps(data)


def _explain(cls: type[Any], source: str, detail: ErrorDetails) -> str:
    place = detail["loc"]
    key = ".".join(str(part) for part in place)
    if detail["type"] == "unexpected_keyword_argument":
        near = difflib.get_close_matches(str(place[-1]), _fields_at(cls, place[:-1]), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{source}: {key}: no such key{hint}"
    if detail["type"] in ("missing", "missing_argument"):
        return f"{source}: {key}: missing"
    message = detail["msg"].removeprefix("Value error, ")
    where = f"{source}: {key}" if key else source
    if detail["type"] == "value_error":  # our own checks name the value themselves
        return f"{where}: {message}"
    return f"{where}: {message}, got {shorten(repr(detail['input']))}"


def _fields_at(cls: Any, place: tuple[int | str, ...]) -> list[str]:
    """Names of the keys of the config that stands at ``place`` inside ``cls``."""
    for part in place:
        if isinstance(part, str) and dataclasses.is_dataclass(cls):
            cls = typing.get_type_hints(cls).get(part)
        inner = [arg for arg in typing.get_args(cls) if dataclasses.is_dataclass(arg)]
        if inner:
            cls = inner[0]
    return (
        [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []
    )
