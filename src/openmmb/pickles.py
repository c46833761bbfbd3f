"""Weights that others published: numbers come out of them, code stays in.

Nothing here takes more memory than the file has bytes, and every number is one.
"""

import mmap
import pickle
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from openmmb.errors import CheckpointError, shorten
from openmmb.quiet import no_warnings
from openmmb.tensors import check_header, check_tensor

_DAMAGE = (  # what unpickling random bytes has been seen to raise
    *(RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError),
    *(EOFError, OSError, MemoryError, RecursionError, OverflowError),
    *(struct.error, zipfile.BadZipFile, NotImplementedError),
)
_CULPRIT = re.compile(r"GLOBAL ([\w.]+)")
_FILLED = b"\nbytearray\n"
"""How a pickle asks for any number of bytes; PyTorch lets it, no weights need it."""
_DATA = "data.pkl"
"""Ends the name of the pickle in a zip file of PyTorch's."""


def load_published(path: Path, *, what: str) -> Any:
    """Read weights from a file of safetensors, or else from a pickle of nothing but numbers.

    Args:
        path: The file; safetensors if its name ends so.
        what: What it should be, for messages.

    Raises:
        CheckpointError: It is missing or damaged, it names code to run, or one of its numbers is
            none.
    """
    if not path.is_file():
        problem = "not a file" if path.exists() else "no such file"
        raise CheckpointError(f"{path}: {problem}; expected {what}")
    if path.suffix != ".safetensors":
        state = load_pickle(path)
        named = state.get("model", state) if isinstance(state, dict) else {}
    else:
        check_header(path)
        try:
            state = named = load_file(path)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: not safetensors: {shorten(str(error))}") from error
    for name, tensor in named.items() if isinstance(named, dict) else ():
        if isinstance(tensor, torch.Tensor):
            check_tensor(path, str(name), tensor)
    return state


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
        zipped = zipfile.is_zipfile(path)
        mapped = mapped and zipped
        _check_sizes(path, zipped=zipped)
        with no_warnings():  # about what is refused a moment later
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: damaged, or not only numbers but code to run, which is refused: "
            f"{_reason(error)}"
        ) from error
    except _DAMAGE as error:
        reason = shorten(str(error).partition("\n")[0])
        raise CheckpointError(f"{path}: not a checkpoint of PyTorch: {reason}") from error


def _check_sizes(path: Path, *, zipped: bool) -> None:
    """Refuse a file that makes more memory of its bytes than there are of them.

    Raises:
        CheckpointError: It does.
    """
    size = path.stat().st_size
    if not zipped:
        if size:
            with (
                path.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            ):
                _refuse_filled(path, filled=content.find(_FILLED) >= 0)
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if packed or sum(entry.file_size for entry in entries) > size:
            raise CheckpointError(
                f"{path}: not a checkpoint of PyTorch: says that it holds more than the "
                f"{size} bytes it has"
            )
        for entry in entries:
            if entry.filename.endswith(_DATA):
                _refuse_filled(path, filled=_FILLED in archive.read(entry))


def _refuse_filled(path: Path, *, filled: bool) -> None:
    if filled:
        raise CheckpointError(f"{path}: not only numbers, which is refused: it names bytearray")


def _reason(error: pickle.UnpicklingError) -> str:
    """Say what PyTorch does not like, without its advice to trust the file."""
    text = str(error)
    culprit = _CULPRIT.search(text)
    if culprit:
        return f"it names {culprit[1]}"
    detail = text.partition("WeightsUnpickler error:")[2] or text
    return shorten(" ".join(detail.split())) or "it is cut"
