"""Values of people and programs that are not trusted, checked: one line says which and what.

Sizes: I image vectors, F features in each.
"""

import base64
import binascii
import math
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from openmmb import files
from openmmb.errors import ConfigError, shorten, unknown

MAX_CHARACTERS: Final = 20_000
"""Most characters of one text. A model reads far fewer: the last tokens that its context has room
for."""
MAX_NUMBERS: Final = 4 * 2**20
"""Most numbers of image vectors that are read: 16 MB."""
MAX_JSON: Final = 64 * 2**20
"""Most characters of JSON that are read."""

_REPR: Final = reprlib.Repr()
_REPR.maxlist, _REPR.maxdict, _REPR.maxlevel = 3, 2, 2
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 60


def require_text(key: str, value: object) -> str:
    """Return ``value`` if it is a string.

    Raises:
        ConfigError: It is none.
    """
    if isinstance(value, bytes | bytearray):
        raise ConfigError(f"{key}: expected a string, got bytes; use .decode() first")
    if not isinstance(value, str):
        raise ConfigError(f"{key}: expected a string, got {name_type(value)}")
    return value


def require_short_text(key: str, value: object) -> str:
    """Return ``value`` if it is a string of at most ``MAX_CHARACTERS``.

    Raises:
        ConfigError: It is none, or too long.
    """
    text = require_text(key, value)
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{key}: expected at most {MAX_CHARACTERS} characters")
    return text


def require_items(key: str, value: Any, of: str) -> tuple[Any, ...]:
    """Return what ``value`` consists of, if it is a list or anything else that can be gone through.

    Raises:
        ConfigError: It is a text, or no collection.
    """
    if isinstance(value, str | bytes | dict) or not isinstance(value, Iterable):
        raise ConfigError(f"{key}: expected a list of {of}, got {name_type(value)}")
    return tuple(value)


def require_kind(key: str, value: Any, expected: type, use: str) -> None:
    """Refuse what is not of the type ``expected``; ``use`` says how to get one.

    Raises:
        ConfigError: It is of another type.
    """
    if not isinstance(value, expected):
        raise ConfigError(
            f"{key}: expected a {expected.__name__}, got {name_type(value)}; use {use}"
        )


def name_type(value: object) -> str:
    """Return what a message calls the type of a value."""
    return "None" if value is None else type(value).__name__


def parse_json(key: str, text: object) -> Any:
    """Parse JSON of at most ``MAX_JSON`` characters.

    Raises:
        ConfigError: It is too long, or not JSON.
    """
    if len(require_text(key, text)) > MAX_JSON:
        raise ConfigError(f"{key}: expected at most {MAX_JSON} characters of JSON")
    return files.parse_json(str(text), key)


def require_object(
    key: str, data: Any, known: Sequence[str], *, optional: Sequence[str] = ()
) -> Mapping[str, Any]:
    """Return ``data`` if it is a JSON object with these keys.

    Raises:
        ConfigError: It is none, has another key, or lacks one that is not optional.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{key}: expected an object, got {quote(data)}")
    for name in data:
        if name not in known:
            raise ConfigError(f"{key}: {unknown('key', name, known)}")
    for name in known:
        if name not in data and name not in optional:
            raise ConfigError(f"{key}: expected the key {name!r}")
    return data


def require_list(key: str, data: Any, *, longest: int) -> list[Any]:
    """Return ``data`` if it is a JSON list.

    Raises:
        ConfigError: It is none, or has more than ``longest`` elements.
    """
    if not isinstance(data, list):
        raise ConfigError(f"{key}: expected a list, got {quote(data)}")
    if len(data) > longest:
        raise ConfigError(f"{key}: expected at most {longest} elements, got {len(data)}")
    return data


def quote(value: object) -> str:
    """Return a value as a message quotes it, however long or deep it is."""
    try:
        return shorten(_REPR.repr(value))
    except ValueError:  # a whole number of more digits than Python writes
        return "a very long number"


def write_vectors(vectors: Tensor) -> str:
    """(I, F) -> base64 of little-endian float32."""
    numbers = vectors.detach().to("cpu", torch.float32).contiguous().numpy()
    return base64.b64encode(numbers.astype("<f4").tobytes()).decode("ascii")


def read_vectors(key: str, shape: Any, encoded: Any) -> Tensor:
    """Read what ``write_vectors`` wrote: (I, F) float32.

    Raises:
        ConfigError: It is not that, is too large, or holds infinity or NaN.
    """
    sizes = require_list(f"{key}.shape", shape, longest=2)
    if len(sizes) != 2 or not all(type(size) is int and size > 0 for size in sizes):
        raise ConfigError(f"{key}.shape: expected two whole numbers above 0, got {quote(sizes)}")
    count = math.prod(sizes)
    if count > MAX_NUMBERS:
        raise ConfigError(
            f"{key}.shape: expected at most {MAX_NUMBERS} numbers, got {quote(count)}"
        )
    try:
        raw = base64.b64decode(require_text(f"{key}.vectors", encoded), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(f"{key}.vectors: expected base64: {error}") from None
    if len(raw) != 4 * count:
        raise ConfigError(
            f"{key}.vectors: expected {4 * count} bytes, {sizes[0]} x {sizes[1]} of float32, "
            f"got {len(raw)}"
        )
    vectors = torch.from_numpy(np.frombuffer(raw, "<f4").astype(np.float32).reshape(sizes))
    if not vectors.isfinite().all():
        raise ConfigError(f"{key}.vectors: expected finite numbers, got infinity or NaN")
    return vectors
