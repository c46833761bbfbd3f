"""What an interrupted run goes on from: weights, optimiser, and a few numbers.

A state is a folder ``state-<step>`` that appears whole or not at all, and carries the hashes of
its files. The newest one that is whole counts. One process writes one file of tensors; several
write a file each, and any number of processes can go on from either.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from openmmb.config import config, parse
from openmmb.distributed import (
    all_gather_object,
    barrier,
    broadcast_object,
    is_main,
    rank,
    world_size,
)
from openmmb.errors import CheckpointError, ConfigError, TrainingError
from openmmb.files import replace_folder
from openmmb.training.run.precision import LossScale
from openmmb.training.run.run_folder import states
from openmmb.training.run.schedule import Plateau

TENSORS, NUMBERS = "state.safetensors", "state.json"
KEEP = 2
"""States that stay: the newest, and the one before in case that is damaged."""


@config
class Progress:
    """Where a run stands."""

    step: int = 0
    """Updates done."""
    tokens: int = 0
    """Reply tokens learnt from."""
    seconds: float = 0.0
    """Time spent on updates."""
    best: float = float("inf")
    """Lowest validation score so far."""
    best_step: int = 0
    """When it was reached."""
    bad_validations: int = 0
    """How many have come since."""
    skipped: int = 0
    """Updates in a row that were left out, up to the last."""
    recent_loss: float = 0.0
    """Summed loss since the last ``step`` record."""
    recent_tokens: int = 0
    """Reply tokens since then."""
    recent_seconds: float = 0.0
    """Time since then."""
    recent_filled: int = 0
    """Tokens of contexts and replies since then."""
    recent_places: int = 0
    """Places for them, filled or padded."""
    plateau: Plateau = Plateau()
    """What the learning rate's course depends on."""
    scale: LossScale = LossScale()
    """What the loss is multiplied by in fp16."""


Found = tuple[str | None, Progress, tuple[str, ...]]
"""A state's name and numbers, and what is wrong with each newer one."""
NOTHING: Found = (None, Progress(), ())


class DamagedError(Exception):
    """A state's file is missing or is not what was written."""


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn what a disk refuses into one line.

    Raises:
        TrainingError: ``what`` cannot be written.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or _one_line(error)
        raise TrainingError(
            f"{what}: cannot be written: {reason}; nothing that was there before is lost: "
            "make room, and the same command goes on from the last state"
        ) from error


def save_state(
    run: Path, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write the state of a run, and remove all others but the newest before it.

    Every process must take part.

    Raises:
        TrainingError: The disk does not take it; the states that are there stay.
    """
    folder = run / f"state-{progress.step:08d}"
    partial = run / "state.partial"
    with writing(str(folder)):
        if is_main():
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        barrier()
        try:
            _write(partial, progress, _tensors(model, optimizer))
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        if is_main():
            replace_folder(partial, folder)
            _remove_old(run, folder)
        barrier()


def load_state(
    run: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[Progress, tuple[str, ...]]:
    """Bring back the newest state of a run that is whole, if it has a state.

    Every process must take part.

    Returns:
        Where the run stands, and what is wrong with each newer state.

    Raises:
        CheckpointError: No state is whole, or it does not fit the model.
    """
    found, progress, damaged = broadcast_object(_newest_whole(run) if is_main() else NOTHING)
    if found is not None:
        _restore(run / found, model, optimizer)
    elif damaged:
        raise CheckpointError(
            f"{run}: no state is whole: {'; '.join(damaged)}; remove the folder to start anew"
        )
    return progress, damaged


def _newest_whole(run: Path) -> Found:
    """Return a state's name and numbers, and what is wrong with each newer one."""
    damaged: list[str] = []
    for folder in reversed(states(run)):
        try:
            return folder.name, _check(folder), tuple(damaged)
        except DamagedError as error:
            damaged.append(str(error))
    return (*NOTHING[:2], tuple(damaged))


def _tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, weight in model.named_parameters():
        for key, value in optimizer.state.get(weight, {}).items():
            tensors[f"optim.{key}.{name}"] = value
    return tensors


def _write(partial: Path, progress: Progress, tensors: Mapping[str, Tensor]) -> None:
    """Write the files of a state; the first process adds the numbers and all hashes."""
    if world_size() == 1:
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()}, partial / TENSORS
        )
    else:
        from openmmb.training.run.sharded import write_shards

        write_shards(partial, tensors)
    files = sorted(partial.glob("*.safetensors"))
    mine = {file.name: _hash(file) for file in files[rank() :: world_size()]}
    hashes = {name: one for part in all_gather_object(mine) for name, one in part.items()}
    if is_main():
        numbers = {**dataclasses.asdict(progress), "sha256": hashes}
        (partial / NUMBERS).write_text(json.dumps(numbers), encoding="utf-8")
        for file in files:  # written for their owner alone, whatever the umask says
            shutil.copymode(partial / NUMBERS, file)


def _remove_old(run: Path, newest: Path) -> None:
    kept = [state for state in states(run) if state.name <= newest.name][-KEEP:]
    for old in states(run):
        if old not in kept:  # too old, or of a future that a damaged state has undone
            shutil.rmtree(old)


def _check(folder: Path) -> Progress:
    """Read a state's numbers and see that its files are what was written."""
    try:
        numbers = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        hashes = numbers.pop("sha256", {})
        progress = parse(Progress, numbers, source="numbers")
        if isinstance(hashes, str):  # of version 0.1, which wrote one file
            hashes = {TENSORS: hashes}
    except (OSError, ValueError, TypeError, AttributeError, ConfigError) as error:
        raise DamagedError(f"{folder.name}/{NUMBERS}: {_one_line(error)}") from error
    for name, expected in hashes.items():
        try:
            if _hash(folder / name) != expected:
                raise DamagedError(f"{folder.name}/{name}: its hash is not that of {NUMBERS}")
        except OSError as error:
            raise DamagedError(f"{folder.name}/{name}: {error}") from error
    return progress


def _restore(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Read the tensors of a state into a network and an optimiser; each process its share."""
    from openmmb.training.run.sharded import read_shards, read_sizes

    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    sizes = read_sizes(folder)
    shapes = {name: size.shape for name, size in sizes.items() if name.startswith("model.")}
    if shapes != {name: tensor.shape for name, tensor in tensors.items()}:
        raise CheckpointError(f"{folder}: its weights are not those of the recipe's model")
    for name in sizes.keys() - shapes.keys():
        _, key, owner = name.split(".", 2)
        weight, size = model.get_parameter(owner), sizes[name]
        tensors[name] = (
            torch.zeros_like(weight, dtype=size.dtype, requires_grad=False)
            if size.shape == weight.shape
            else torch.zeros(size.shape, dtype=size.dtype, device=weight.device)
        )
        optimizer.state[weight][key] = tensors[name]
    read_shards(folder, tensors)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
