"""Typed configs: frozen dataclasses in code, TOML on disk, flags of the same names.

One rule: ``None`` may only be a default, since TOML has no null. Then ``parse(dump(c)) == c``.
"""

import dataclasses
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform

import tomli_w
from pydantic import Tag, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from openmmb.errors import ConfigError, shorten, unknown
from openmmb.files import read_text

T = TypeVar("T")


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,)
)
def config(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen, keyword-only dataclass that refuses unknown keys."""
    cls.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


def require(name: str, value: object, expected: str, *, holds: bool) -> None:
    """Refuse the value of a setting unless it holds.

    Raises:
        ValueError: It does not; the message says what it must be.
    """
    if not holds:
        raise ValueError(f"{name} must be {expected}, got {value}")


def load(cls: type[T], path: Path) -> T:
    """Read a TOML file into ``cls``.

    Raises:
        ConfigError: The file is missing, is not TOML, or does not fit ``cls``.
    """
    try:
        data = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: expected TOML: {error}") from error
    return parse(cls, data, source=str(path))


def parse(cls: type[T], data: dict[str, Any], *, source: str = "config") -> T:
    """Check plain data against ``cls`` and build it.

    Raises:
        ConfigError: One line for each key that is unknown, missing, or of the wrong type.
    """
    try:
        return TypeAdapter(cls).validate_python(_current(cls, data))
    except ValidationError as error:
        lines = [_explain(cls, source, detail) for detail in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def dump(value: Any) -> str:
    """Write a config as TOML; the inverse of ``parse``."""
    data = TypeAdapter(type(value)).dump_python(value, mode="json", exclude_none=True)
    return tomli_w.dumps(data)


def _current(cls: Any, data: Any) -> Any:
    """Leave out the keys that earlier versions wrote, where they say what is always so by now.

    A config names them in ``RETIRED``, each with the one value that is left out.
    """
    if not (isinstance(data, dict) and dataclasses.is_dataclass(cls)):
        return data
    hints, retired = typing.get_type_hints(cls), getattr(cls, "RETIRED", {})
    return {
        key: _current(hints.get(key), value)
        for key, value in data.items()
        if key not in retired or value != retired[key]
    }


def _explain(cls: type[Any], source: str, detail: ErrorDetails) -> str:
    location = detail["loc"]
    key = ".".join(str(step) for step in location if not _is_tag(step))
    if detail["type"] == "unexpected_keyword_argument":
        names = _field_names(cls, location[:-1])
        return f"{source}: {key}: {unknown('key', str(location[-1]), names)}"
    if detail["type"] in ("missing", "missing_argument"):
        return f"{source}: {key}: missing"
    message = detail["msg"].removeprefix("Value error, ")
    where = f"{source}: {key}" if key else source
    if detail["type"] == "value_error":  # our own checks name the value themselves
        return f"{where}: {message}"
    return f"{where}: {message}, got {shorten(repr(detail['input']))}"


def _is_tag(step: int | str) -> bool:
    """Return whether a step of a location is no key but says which config of several it is."""
    return isinstance(step, str) and step.startswith("<")


def _field_names(cls: Any, location: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the config that lies at ``location`` inside ``cls``."""
    hint = cls
    for step in location:
        if _is_tag(step):
            hint = next((inner for tag, inner in _configs(hint) if tag == step), hint)
        elif isinstance(step, str):
            outer = _first_config(hint)
            hint = typing.get_type_hints(outer, include_extras=True).get(step) if outer else None
    lies = _first_config(hint)
    return [field.name for field in dataclasses.fields(lies)] if lies else []


def _first_config(hint: Any) -> Any:
    return next((inner for _, inner in _configs(hint)), None)


def _configs(hint: Any, tag: str | None = None) -> Iterator[tuple[str | None, Any]]:
    """Yield the configs inside a type hint, each with its tag if it has one."""
    if dataclasses.is_dataclass(hint):
        yield tag, hint
        return
    arguments = typing.get_args(hint)
    tags = [argument.tag for argument in arguments if isinstance(argument, Tag)]
    for argument in arguments:
        yield from _configs(argument, tags[0] if tags else tag)
