"""What a state says of its files and of what it was learnt from, to notice later what has changed.

A seal is what the numbers of a state hold beside the counters:

sha256   the hashes of its files of tensors
beside   the hashes of what else of the run's folder a run goes on with
learns   what is learnt, as the objective counts it: examples, weights
check    the hash of all of the numbers
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openmmb.errors import CheckpointError

NUMBERS = "state.json"
"""Name of the file with the numbers."""
TENSORS = "state.safetensors"
"""Name of the file of tensors that one process writes; several write one each."""
BESIDE = ("tokenizer.json", "start/*", f"frozen/{NUMBERS}")
"""Patterns of what else of a run's folder a run goes on with."""
LARGEST = 2**20
"""Most characters of the numbers."""

Learns = Mapping[str, float | str]


class DamagedError(Exception):
    """A file of a state is missing or is not what was written."""


@dataclass(frozen=True)
class Seal:
    """What the numbers of a state say, but for its counters.

    Attributes:
        folder: The state.
        beside: Hashes by path, from the run's folder.
        learns: Counts by name.
    """

    folder: Path
    beside: Mapping[str, Any] = field(default_factory=dict)
    learns: Mapping[str, Any] = field(default_factory=dict)

    def require_unchanged(self, learns: Learns) -> None:
        """Refuse to go on with anything else than the state was written with.

        Raises:
            CheckpointError: Something has changed; says what.
        """
        run, name = self.folder.parent, self.folder.name
        for path, written in self.beside.items():
            if not (run / path).is_file() or hash_file(run / path) != written:
                raise CheckpointError(
                    f"{run / path}: has changed since {name} was written; put back what was "
                    "there, or set another 'out'"
                )
        for key, written in self.learns.items():
            if learns.get(key, written) != written:
                raise CheckpointError(
                    f"{run}: {key} was {written} when {name} was written, now is {learns[key]}; "
                    "put back the data that were there, or set another 'out'"
                )


def write_numbers(
    folder: Path,
    numbers: Mapping[str, object],
    hashes: Mapping[str, str],
    learns: Learns,
    run: Path,
) -> None:
    """Write the numbers of a state with their seal.

    Args:
        folder: Where to.
        numbers: The counters.
        hashes: Of the files of tensors.
        learns: What is learnt.
        run: The run's folder.
    """
    paths = sorted(path for pattern in BESIDE for path in run.glob(pattern) if path.is_file())
    beside = {path.relative_to(run).as_posix(): hash_file(path) for path in paths}
    sealed = {**numbers, "sha256": dict(hashes), "beside": beside, "learns": dict(learns)}
    text = json.dumps({**sealed, "check": _hash(sealed)})
    (folder / NUMBERS).write_text(text, encoding="utf-8")


def read_numbers(folder: Path) -> tuple[dict[str, Any], Seal]:
    """Read the counters of a state and check that its files are what was written.

    Raises:
        DamagedError: One is missing, or is something else.
    """
    where = f"{folder.name}/{NUMBERS}"
    try:
        with (folder / NUMBERS).open(encoding="utf-8") as file:
            numbers = json.loads(file.read(LARGEST))
        check = numbers.pop("check", None)
        if check is not None and check != _hash(numbers):
            raise ValueError("its hash is not that of the rest")
        hashes = numbers.pop("sha256")
        if isinstance(hashes, str):  # of version 0.1, which wrote one file
            hashes = {TENSORS: hashes}
        seal = Seal(folder, numbers.pop("beside", {}), numbers.pop("learns", {}))
        if not all(isinstance(one, dict) for one in (hashes, seal.beside, seal.learns)):
            raise TypeError("expected an object of hashes")
    except KeyError as error:
        raise DamagedError(f"{where}: no {error}") from error
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{where}: {' '.join(str(error).split())}") from error
    _check_files(folder, hashes)
    return numbers, seal


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_texts(texts: Iterable[str]) -> str:
    """Return what tells texts from others, in their order."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(b"%d\0" % len(data))
        digest.update(data)
    return digest.hexdigest()


def _check_files(folder: Path, hashes: Mapping[str, Any]) -> None:
    names = {path.name for path in folder.glob("*.safetensors")}
    for name in sorted(names | {TENSORS} if not hashes else names | hashes.keys()):
        if name not in hashes:
            raise DamagedError(f"{folder.name}/{name}: {NUMBERS} has no hash of it")
        try:
            if hash_file(folder / name) != hashes[name]:
                raise DamagedError(f"{folder.name}/{name}: its hash is not that of {NUMBERS}")
        except (OSError, ValueError) as error:
            raise DamagedError(f"{folder.name}/{name}: {error}") from error


def _hash(numbers: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()
