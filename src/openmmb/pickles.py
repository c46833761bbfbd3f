"""Weights that others published: numbers come out of them, code stays in."""

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from openmmb.errors import CheckpointError
from openmmb.quiet import no_warnings

_DAMAGE = (  # what unpickling random bytes has been seen to raise
    *(RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError),
    *(EOFError, OSError, MemoryError, struct.error, zipfile.BadZipFile),
)


def load_published(path: Path, *, what: str) -> Any:
    """Read weights from a file of safetensors, or else from a pickle of nothing but numbers.

    Args:
        path: The file; safetensors if its name ends so.
        what: What it should be, for messages.

    Raises:
        CheckpointError: It is missing or damaged, or it names code to run.
    """
    if not path.is_file():
        problem = "not a file" if path.exists() else "no such file"
        raise CheckpointError(f"{path}: {problem}; expected {what}")
    if path.suffix != ".safetensors":
        return load_pickle(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not safetensors: {error}") from error


def load_pickle(path: Path, *, mapped: bool = False) -> Any:
    """Read what ``torch.save`` wrote, numbers and plain containers only.

    Args:
        path: The file.
        mapped: Map it into memory and do not copy it: it must stay as it is for as long as its
            tensors are used. Files from before PyTorch 1.6 are copied all the same.

    Raises:
        CheckpointError: It is damaged, or it names code to run.
    """
    try:
        mapped = mapped and zipfile.is_zipfile(path)
        with no_warnings():  # about what is refused a moment later
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0].removeprefix("Weights only load failed. ")
        raise CheckpointError(
            f"{path}: damaged, or not only numbers but code to run, which is refused: {reason}"
        ) from error
    except _DAMAGE as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{path}: not a checkpoint of PyTorch: {reason}") from error
