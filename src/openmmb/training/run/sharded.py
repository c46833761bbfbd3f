"""Tensors in a folder, written by several processes together and read by any number of them.

Each process writes a safetensors file of its shards (``torch.distributed.checkpoint``); a file
that a single process has written is read the same way.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from openmmb.distributed import world_size
from openmmb.quiet import no_warnings


@dataclass(frozen=True)
class Size:
    """What is known of a tensor before it is read."""

    shape: torch.Size
    dtype: torch.dtype


def write_shards(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write the shards of this process; every process must take part.

    Raises:
        OSError: A process could not write.
    """
    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    with _one_line():
        save(dict(tensors), storage_writer=writer)


def read_sizes(folder: Path) -> dict[str, Size]:
    """Return the sizes of the tensors in a folder."""
    metadata = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    return {
        name: Size(entry.size, entry.properties.dtype)
        for name, entry in metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    }


def read_shards(folder: Path, into: Mapping[str, Tensor]) -> None:
    """Fill tensors, each process its shards of them; every process must take part.

    Raises:
        OSError: A process could not read.
    """
    with _one_line(), no_warnings():  # that torch.distributed is disabled: alone, it is
        load(
            dict(into),
            storage_reader=HuggingFaceStorageReader(str(folder)),
            no_dist=world_size() == 1,
        )


@contextmanager
def _one_line() -> Iterator[None]:
    """Raise what went wrong as one line, without PyTorch's traceback, in each process."""
    try:
        yield
    except CheckpointException as error:
        reasons = {str(failure) for failure, _ in error.failures.values()}
        raise OSError(" ".join("; ".join(sorted(reasons)).split())) from error
