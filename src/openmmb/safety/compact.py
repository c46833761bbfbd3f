"""Weights in a byte each: whole numbers, and one scale for each row of a table.

A row is rounded to -127 ... 127 times its own scale, which changes what a classifier of a few
million weights says by less than its threshold is fine.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.tensors import Weight, open_safetensors, open_stored

SCALE: Final = ".row_scale"
"""Ends the name of the scales of a table."""
LARGEST: Final = 127


def write_compact(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write weights; tables in a byte a number, all else as it is in fp32.

    Raises:
        CheckpointError: A weight is not finite.
    """
    stored: dict[str, Tensor] = {}
    for name, weight in weights.items():
        table = weight.detach().to("cpu", torch.float32)
        if not table.isfinite().all():
            raise CheckpointError(f"{name}: expected finite weights")
        if table.ndim == 2:
            scale = table.abs().amax(1).clamp(min=1e-12) / LARGEST
            stored[name + SCALE] = scale
            table = (table / scale[:, None]).round().to(torch.int8)
        stored[name] = table.contiguous()
    save_file(stored, path, metadata={"format": "pt"})


@contextmanager
def open_weights(path: Path) -> Iterator[Mapping[str, Weight]]:
    """Open a file of weights, compact or not, which are read one by one as floating point.

    Raises:
        CheckpointError: It is not such a file.
    """
    with open_stored(path) as file:
        names = set(file.keys())
        tables = {name.removesuffix(SCALE) for name in names if name.endswith(SCALE)}
        if tables:
            yield {
                name: Weight(
                    tuple(file.get_slice(name).get_shape()),
                    torch.float32,
                    partial(_read, file, name, path, compact=name in tables),
                )
                for name in names
                if not name.endswith(SCALE)
            }
            return
    with open_safetensors(path) as weights:
        yield weights


def _read(file: Any, name: str, path: Path, *, compact: bool) -> Tensor:
    weight: Tensor = file.get_tensor(name)
    if compact:
        scale: Tensor = file.get_tensor(name + SCALE)
        if weight.dtype != torch.int8 or scale.shape != weight.shape[:1]:
            raise CheckpointError(f"{path}: {name}: expected bytes and a scale for each row")
        finite = (scale * LARGEST).isfinite().all()  # then so is any byte times one of them
        weight = weight.float().mul_(scale[:, None])
    else:
        finite = weight.isfinite().all()
    if not finite:
        raise CheckpointError(f"{path}: {name}: expected finite weights")
    return weight
