"""Files in the GGUF format, as llama.cpp's programs write them, read with bounds.

A file can come from anybody. Each length in it is held against the file's size before anything of
that length is made, so that no file leads to a large allocation or a long wait.
"""

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.files import open_bytes
from openmmb.pretrained.gguf_blocks import QUANTISATIONS, Quantisation, name_quantisation

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
MOST_FIELDS: Final = 10_000
"""Fields of a file, and its tensors."""
MOST_VALUES: Final = 1 << 20
"""Values of one field: a vocabulary's tokens or merges."""
_SCALARS: Final = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""By their numbers in a file, the kinds of numbers, as ``struct`` calls them."""
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies in a file.

    Attributes:
        shape: Its sizes.
        kind: How it is stored.
        start: Where its bytes begin.
        size: How many they are.
    """

    shape: tuple[int, ...]
    kind: Quantisation
    start: int
    size: int


class GgufFile:
    """A file whose fields are read, and whose tensors are read when they are asked for.

    Args:
        path: The file.

    Raises:
        CheckpointError: It is missing, is not such a file, or is damaged.

    Attributes:
        fields: Its settings by name.
        tensors: What tensors there are, by name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with open_bytes(path) as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # an empty file cannot be mapped
            raise CheckpointError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
        try:
            self.fields, self.tensors = _Header(self._data).read()
        except (ValueError, struct.error) as error:
            raise CheckpointError(f"{path}: expected a whole GGUF file: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()

    def read(self, name: str) -> Tensor:
        """Return a tensor in float32."""
        stored = self.tensors[name]
        raw = np.frombuffer(self._data, np.uint8, stored.size, stored.start)
        blocks = torch.from_numpy(raw.copy()).view(-1, stored.kind.size)
        return stored.kind.read(blocks).view(stored.shape)

    def field(self, name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """Return a field of a kind.

        Raises:
            CheckpointError: It is missing and there is no ``default``, or is of another kind.
        """
        value = self.fields.get(name, default)
        if value is None:
            raise CheckpointError(f"{self.path}: no field {name}")
        if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            expected = " or ".join(one.__name__ for one in kinds)
            raise CheckpointError(
                f"{self.path}: {name} is a {type(value).__name__}, expected {expected}"
            )
        return value


class _Header:
    """What stands before the tensors' bytes.

    Raises:
        ValueError: Something in it cannot be.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def read(self) -> tuple[dict[str, Any], dict[str, StoredTensor]]:
        magic = self._take(4)
        if magic != MAGIC:
            raise ValueError(f"it begins with {magic!r}")
        version = self._number("I")
        if version not in VERSIONS:
            raise ValueError(f"it is of version {version}; expected 2 or 3")
        num_tensors, num_fields = self._number("Q"), self._number("Q")
        if max(num_tensors, num_fields) > MOST_FIELDS:
            raise ValueError(f"{num_fields} fields and {num_tensors} tensors")
        fields: dict[str, Any] = {}
        for _ in range(num_fields):
            name = self._string()
            if name in fields:
                raise ValueError(f"field {name!r} is there twice")
            fields[name] = self._value(self._number("I"))
        listed = [self._tensor() for _ in range(num_tensors)]
        alignment = fields.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError(f"general.alignment is {alignment!r}")
        start = -(-self._at // alignment) * alignment
        return fields, self._locate(listed, start)

    def _locate(
        self, listed: list[tuple[str, tuple[int, ...], int, int]], start: int
    ) -> dict[str, StoredTensor]:
        tensors: dict[str, StoredTensor] = {}
        for name, shape, number, offset in listed:
            kind = QUANTISATIONS.get(number)
            if kind is None:
                known = ", ".join(kind.name for kind in QUANTISATIONS.values())
                stored = name_quantisation(number)
                raise ValueError(f"{name} is stored as {stored}; expected {known}")
            if shape[-1] % kind.values:
                raise ValueError(
                    f"{name} is {shape}; expected a multiple of {kind.values} at the end"
                )
            size = math.prod(shape) // kind.values * kind.size
            if start + offset + size > len(self._data):
                raise ValueError(f"{name} {shape} goes beyond its end")
            if name in tensors:
                raise ValueError(f"tensor {name!r} is there twice")
            tensors[name] = StoredTensor(shape, kind, start + offset, size)
        return tensors

    def _tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name, dimensions = self._string(), self._number("I")
        if not 1 <= dimensions <= 4:
            raise ValueError(f"{name} has {dimensions} dimensions")
        shape = tuple(self._number("Q") for _ in range(dimensions))[::-1]
        if min(shape) < 1:
            raise ValueError(f"{name} is {shape}")
        return name, shape, self._number("I"), self._number("Q")

    def _value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self._number(_SCALARS[kind])
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            raise ValueError(f"a field is of the type {kind}")
        inside, count = self._number("I"), self._number("Q")
        if count > MOST_VALUES:
            raise ValueError(f"a field has {count} values")
        if inside == _STRING:
            return self._strings(count)
        if inside not in _SCALARS:
            raise ValueError(f"a field holds values of the type {inside}")
        layout = f"<{count}{_SCALARS[inside]}"
        return list(struct.unpack(layout, self._take(struct.calcsize(layout))))

    def _string(self) -> str:
        return self._take(self._number("Q")).decode("utf-8")

    def _strings(self, count: int) -> list[str]:
        """Read a vocabulary or the like, which has tens of thousands."""
        data, at, end = self._data, self._at, len(self._data)
        length = struct.Struct("<Q")
        strings = []
        for _ in range(count):
            (size,) = length.unpack_from(data, at)
            at += length.size
            if size > end - at:
                raise self._cut()
            strings.append(data[at : at + size].decode("utf-8"))
            at += size
        self._at = at
        return strings

    def _number(self, layout: str) -> Any:
        size = struct.calcsize(f"<{layout}")
        return struct.unpack(f"<{layout}", self._take(size))[0]

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise self._cut()
        self._at += size
        return self._data[self._at - size : self._at]

    def _cut(self) -> ValueError:
        return ValueError(f"it ends at byte {len(self._data)}, in the middle of its header")
