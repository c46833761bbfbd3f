"""The folder that a conversion makes."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openmmb.checkpoint import CONFIG, TOKENIZER, WEIGHTS, CheckpointConfig
from openmmb.config import dump
from openmmb.convert.stream import Weight, write_safetensors
from openmmb.errors import CheckpointError
from openmmb.files import replace_folder
from openmmb.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Converted:
    """What a conversion made.

    Attributes:
        folder: The checkpoint.
        config: Its settings.
        notes: What a person should know: what begins anew, what was not carried over.
    """

    folder: Path
    config: CheckpointConfig
    notes: tuple[str, ...]


def write_checkpoint(
    folder: Path, config: CheckpointConfig, tokenizer: Tokenizer, weights: Mapping[str, Weight]
) -> None:
    """Write a checkpoint without ever holding its weights, replacing one that is there.

    Raises:
        CheckpointError: ``folder`` is a file, or a weight is too large for its precision.
    """
    with replacing(folder) as partial:
        write_safetensors(partial / WEIGHTS, weights)
        (partial / CONFIG).write_text(dump(config), encoding="utf-8")
        tokenizer.save(partial / TOKENIZER)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of ``folder`` once it is filled.

    Raises:
        CheckpointError: ``folder`` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder}: is a file; a checkpoint is a folder")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    replace_folder(partial, folder)
