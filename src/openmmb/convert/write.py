"""The folder that a conversion makes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openmmb.checkpoint import CONFIG, OUTPUT, TOKENIZER, WEIGHTS, CheckpointConfig
from openmmb.config import dump
from openmmb.errors import CheckpointError
from openmmb.files import replacing
from openmmb.outputs import OutputKind, check_folder
from openmmb.tensors import Weight, write_safetensors
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
        CheckpointError: ``folder`` is something else, or a weight is too large for its precision.
    """
    with new_folder(folder) as partial:
        write_safetensors(partial / WEIGHTS, weights)
        (partial / CONFIG).write_text(dump(config), encoding="utf-8")
        tokenizer.save(partial / TOKENIZER)


@contextmanager
def new_folder(folder: Path, kind: OutputKind = OUTPUT) -> Iterator[Path]:
    """Yield an empty folder that replaces ``folder`` once it is filled.

    Raises:
        CheckpointError: ``folder`` is something else than a folder of that kind.
    """
    check_folder(folder, kind, error=CheckpointError)
    with replacing(folder) as partial:
        partial.mkdir()
        yield partial
