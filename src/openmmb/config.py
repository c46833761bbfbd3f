"""Typed configs: frozen dataclasses in code, TOML on disk, flags of the same names.

One rule: ``None`` may only be a default, since TOML has no null. Then ``parse(dump(c)) == c``.

A file can come from anybody. It is read only up to a size and a depth that no real one reaches, a
value is never taken for one of another type (``true`` is no 1), and a number is finite.
"""

import dataclasses
import json
import math
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform

import tomli_w
from pydantic import Tag, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from openmmb.errors import ConfigError, shorten, unknown
from openmmb.files import open_text

T = TypeVar("T")

MAY_BE_INFINITE = {"may_be_infinite": True}
"""Metadata of a field that is infinite until something was measured."""
LONGEST_FILE, MOST_DOTS = 2**18, 200
"""Most characters of a file, and most dots of one of its lines: ``tomllib`` takes time that grows
with the square of the parts of a dotted key."""
MOST_MISTAKES = 20
"""Lines of a message; what is wrong in more ways is no config."""


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,)
)
def config(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen, keyword-only dataclass that refuses unknown keys.

    Its numbers must be finite, those of ``MAY_BE_INFINITE`` at least numbers.
    """
    check = getattr(cls, "__post_init__", None)

    def __post_init__(self: T) -> None:  # noqa: N807 the name that dataclasses call
        _require_finite(self)
        if check is not None:
            check(self)

    cls.__post_init__ = __post_init__  # type: ignore[attr-defined]
    cls.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


def require(name: str, value: object, expected: str, *, holds: bool) -> None:
    """Refuse the value of a setting unless it holds.

    Raises:
        ValueError: It does not; the message says what it must be.
    """
    if not holds:
        raise ValueError(f"{name} must be {expected}, got {shorten(str(value))}")


def load(cls: type[T], path: Path) -> T:
    """Read a TOML file into ``cls``.

    Raises:
        ConfigError: The file is missing, is not TOML, or does not fit ``cls``.
    """
    return parse(cls, read_toml(path), source=str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Read the keys of a TOML file, whoever wrote it.

    Raises:
        ConfigError: The file is missing, is not TOML, or is made to hang whoever reads it.
    """
    with open_text(path) as file:
        text = file.read(LONGEST_FILE + 1)
    if len(text) > LONGEST_FILE:
        raise ConfigError(f"{path}: expected TOML of at most {LONGEST_FILE} characters")
    if any(line.count(".") > MOST_DOTS for line in text.splitlines()):
        raise ConfigError(f"{path}: expected TOML: a line has more than {MOST_DOTS} dots")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{path}: expected TOML: it is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise ConfigError(f"{path}: expected TOML: {str(error).partition(';')[0]}") from error


def parse(cls: type[T], data: dict[str, Any], *, source: str = "config") -> T:
    """Check plain data, in which configs may be, against ``cls`` and build it.

    Raises:
        ConfigError: One line for each key that is unknown, missing, or of the wrong type, up to
            ``MOST_MISTAKES``.
    """
    try:
        # As JSON, since pydantic is strict about types there and still takes a list for a tuple.
        text = json.dumps(_current(cls, data), default=_plain)
        return TypeAdapter(cls).validate_json(text, strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)
        if details[0]["type"] == "json_invalid":
            problem = details[0]["msg"].removeprefix("Invalid JSON: ").partition(" at line")[0]
            raise ConfigError(f"{source}: {problem}") from None
        lines = [_explain(cls, source, detail) for detail in details[:MOST_MISTAKES]]
        raise ConfigError("\n".join(lines)) from None
    except RecursionError:
        raise ConfigError(f"{source}: nested too deeply") from None
    except (TypeError, OverflowError) as error:
        raise ConfigError(f"{source}: {error}") from None
    except ValueError:  # json cannot write it
        raise ConfigError(f"{source}: a number has thousands of digits") from None


def dump(value: Any) -> str:
    """Write a config as TOML; the inverse of ``parse``."""
    data = TypeAdapter(type(value)).dump_python(value, mode="json", exclude_none=True)
    return tomli_w.dumps(data)


def _require_finite(value: Any) -> None:
    for field in dataclasses.fields(value):
        given = getattr(value, field.name)
        for number in given if isinstance(given, tuple) else (given,):
            if isinstance(number, float) and not math.isfinite(number):
                if math.isinf(number) and field.metadata.get("may_be_infinite"):
                    continue
                raise ValueError(f"{field.name} must be a finite number, got {number}")


def _plain(value: Any) -> Any:
    """Return what is no plain data as such: a config that was built before, or a path.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(value, Path):
        return str(value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{value} is a {type(value).__name__}; expected text or a number")
    items = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    return {name: item for name, item in items if item is not None}


def _current(cls: Any, data: Any) -> Any:
    """Leave out the keys that earlier versions wrote, where they say what is always so by now.

    A config names them in ``RETIRED``, each with the one value that is left out.
    """
    options = [
        cls,
        *typing.get_args(cls),
    ]  # itself, or one of a union: a table that may be left out
    cls = next((option for option in options if dataclasses.is_dataclass(option)), None)
    if not isinstance(data, dict) or cls is None:
        return data
    hints, retired = typing.get_type_hints(cls), getattr(cls, "RETIRED", {})
    return {
        key: _current(hints.get(key), value)
        for key, value in data.items()
        if key not in retired or value != retired[key]
    }


def _explain(cls: type[Any], source: str, detail: ErrorDetails) -> str:
    location = detail["loc"]
    key = shorten(".".join(str(step) for step in location if not _is_tag(step)))
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
