"""Weights from file to file, one tensor in memory at a time.

A checkpoint of 2.7 billion weights must convert on a machine that can barely hold it once, so
nothing here keeps a tensor longer than it takes to write it.
"""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from openmmb.errors import CheckpointError

NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
"""What safetensors calls the precisions that weights may have."""
_DTYPES = {name: dtype for dtype, name in NAMES.items()}

Read = Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that is read when it is asked for.

    Attributes:
        shape: Its sizes.
        dtype: One of ``NAMES``.
        read: Returns it.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Read


def pickled_weights(state: Any, path: Path) -> dict[str, Weight]:
    """Return the tensors of an unpickled state dict.

    Raises:
        CheckpointError: It is no dict of floating-point tensors.
    """
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError(f"{path}: holds a {type(state).__name__}, expected named weights")
    weights = {}
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise CheckpointError(f"{path}: {name} is a {type(tensor).__name__}, expected a tensor")
        weights[name] = Weight(tuple(tensor.shape), tensor.dtype, tensor.detach)
    return weights


@contextmanager
def open_safetensors(path: Path) -> Iterator[dict[str, Weight]]:
    """Open a file of safetensors, which are read one by one.

    Raises:
        CheckpointError: It is not such a file.
    """
    try:
        file: Any = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not safetensors: {error}") from error
    with file:
        weights = {}
        for name in file.keys():  # noqa: SIM118
            part = file.get_slice(name)
            shape, dtype = tuple(part.get_shape()), _DTYPES.get(part.get_dtype())
            if dtype is None:
                raise CheckpointError(
                    f"{path}: {name} is {part.get_dtype()}, expected {', '.join(_DTYPES)}"
                )
            weights[name] = Weight(shape, dtype, partial(file.get_tensor, name))
        yield weights


def write_safetensors(path: Path, weights: Mapping[str, Weight]) -> None:
    """Write weights, each read only when its turn comes.

    Raises:
        ValueError: One turns out to be of another shape or precision than it said.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, weight in weights.items():
        start, end = end, end + weight.dtype.itemsize * torch.Size(weight.shape).numel()
        header[name] = {
            "dtype": NAMES[weight.dtype],
            "shape": list(weight.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants the numbers aligned
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for name, weight in weights.items():
            tensor = weight.read().contiguous()
            if (tuple(tensor.shape), tensor.dtype) != (weight.shape, weight.dtype):
                raise ValueError(
                    f"{name} is {tensor.dtype} {tuple(tensor.shape)}, "
                    f"expected {weight.dtype} {weight.shape}"
                )
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)
