"""What an interrupted run continues from: weights, optimiser, and a few numbers.

A state is a folder ``state-<step>`` that appears whole or not at all, and carries the hashes of
its files and of what it was learnt with (``seal``). The newest one that is whole counts. One
process writes one file of tensors; several write a file each, and any number of processes can go
on from either. Weights that do not learn are written once, into a folder beside the states.
"""

import dataclasses
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from openmmb.config import parse
from openmmb.distributed import (
    all_gather_object,
    barrier,
    broadcast_object,
    is_main,
    rank,
    world_size,
)
from openmmb.errors import CheckpointError, ConfigError, TrainingError
from openmmb.files import remove, replace_folder
from openmmb.training.run.counters import Progress
from openmmb.training.run.run_folder import states
from openmmb.training.run.seal import (
    NUMBERS,
    TENSORS,
    DamagedError,
    Learns,
    Seal,
    hash_file,
    read_numbers,
    write_numbers,
)

KEEP = 2
"""States that stay: the newest, and the one before in case the newest is damaged."""
FROZEN = "frozen"
"""A folder like a state's, of the weights that do not learn, written once a run."""


@dataclass(frozen=True)
class Newest:
    """What a run can continue from.

    Attributes:
        folders: Its newest state that is whole, and the frozen weights, if any; by their names.
        progress: Where the run stood.
        damaged: What is wrong with each newer state.
        seal: What the state was written with; None: there is no state.
    """

    folders: tuple[str, ...] = ()
    progress: Progress = field(default_factory=Progress)
    damaged: tuple[str, ...] = ()
    seal: Seal | None = None


class Remembers(Protocol):
    """An optimiser, as far as it is part of a state."""

    @property
    def state(self) -> dict[Tensor, Any]:
        """What it remembers of each weight."""
        ...


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
    run: Path,
    progress: Progress,
    model: nn.Module,
    optimizer: Remembers,
    learns: Learns = MappingProxyType({}),
) -> None:
    """Write the state of a run, and remove all others but the newest before it.

    Weights that do not learn are written once, beside the states. Every process must take part.

    Args:
        run: The run's folder.
        progress: Where the run stands.
        model: Its network.
        optimizer: Its optimiser.
        learns: Counts that stay the same for as long as what is learnt does.

    Raises:
        TrainingError: The disk does not take it; the states that are there stay.
    """
    learnt, frozen = _tensors(model, optimizer)
    written = broadcast_object(not frozen or (run / FROZEN).exists())
    if not written:
        _write_folder(run / FROZEN, {}, frozen)
    folder = run / name_of(progress.step)
    _write_folder(folder, dataclasses.asdict(progress), learnt, learns)
    with writing(str(run)):
        if is_main():
            _remove_old(run, folder)
    barrier()


def load_state(
    run: Path,
    model: nn.Module,
    optimizer: Remembers,
    learns: Learns = MappingProxyType({}),
) -> tuple[Progress, tuple[str, ...]]:
    """Bring back the newest state of a run that is whole, if it has a state.

    Every process must take part. The arguments are those of ``save_state``.

    Returns:
        Where the run stands, and what is wrong with each newer state.

    Raises:
        CheckpointError: No state is whole, or it does not fit the model; or what it was written
            with has changed.
    """
    newest = broadcast_object(_newest_whole(run) if is_main() else Newest())
    if newest.seal is not None:
        newest.seal.require_unchanged(learns)
        _restore([run / name for name in newest.folders], model, optimizer)
    elif newest.damaged:
        raise CheckpointError(
            f"{run}: no state is whole: {'; '.join(dict.fromkeys(newest.damaged))}; remove the "
            "folder to start anew"
        )
    elif is_main():
        remove(run / FROZEN)  # of a run that ended before its first state
    return newest.progress, newest.damaged


def name_of(step: int) -> str:
    """Return the name of the folder of the state after ``step`` updates."""
    return f"state-{step:08d}"


def _newest_whole(run: Path) -> Newest:
    damaged: list[str] = []
    for folder in reversed(states(run)):
        try:
            numbers, seal = read_numbers(folder)
            progress = _parse_progress(folder, numbers)
            folders = [folder.name]
            if (run / FROZEN).exists():
                read_numbers(run / FROZEN)
                folders.append(FROZEN)
            return Newest(tuple(folders), progress, tuple(damaged), seal)
        except DamagedError as error:
            damaged.append(str(error))
    return Newest(damaged=tuple(damaged))


def _tensors(model: nn.Module, optimizer: Remembers) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return what learning changes, weights and what the optimiser remembers; and the rest."""
    weights = dict(model.named_parameters())
    fixed = {name for name, weight in weights.items() if not weight.requires_grad}
    learnt: dict[str, Tensor] = {}
    frozen: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        (frozen if name in fixed else learnt)[f"model.{name}"] = tensor
    for name, weight in weights.items():
        for key, value in optimizer.state.get(weight, {}).items():
            learnt[f"optim.{key}.{name}"] = value
    return learnt, frozen


def _write_folder(
    folder: Path,
    numbers: Mapping[str, object],
    tensors: Mapping[str, Tensor],
    learns: Learns = MappingProxyType({}),
) -> None:
    """Write tensors, numbers and the hashes of their files, so that they appear together."""
    partial = folder.parent / "state.partial"
    with writing(str(folder)):
        if is_main():
            remove(partial)
            partial.mkdir(parents=True)
        barrier()
        try:
            hashes = _write(partial, tensors)
            if is_main():
                write_numbers(partial, numbers, hashes, learns, folder.parent)
                for name in hashes:  # safetensors lets only the owner read
                    shutil.copymode(partial / NUMBERS, partial / name)
        except BaseException:  # whatever ends this, Ctrl-C too, leaves no half a state
            remove(partial)
            raise
        if is_main():
            replace_folder(partial, folder)
        barrier()


def _write(partial: Path, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Write the files of tensors; return their hashes."""
    if world_size() == 1:
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()}, partial / TENSORS
        )
    else:
        from openmmb.training.run.sharded import write_shards

        write_shards(partial, tensors)
    files = sorted(partial.glob("*.safetensors"))
    mine = {file.name: hash_file(file) for file in files[rank() :: world_size()]}
    return {name: one for shard in all_gather_object(mine) for name, one in shard.items()}


def _remove_old(run: Path, newest: Path) -> None:
    kept = [state for state in states(run) if state.name <= newest.name][-KEEP:]
    for old in states(run):
        if old not in kept:  # too old, or of a future that a damaged state has undone
            shutil.rmtree(old)


def _parse_progress(folder: Path, numbers: dict[str, Any]) -> Progress:
    try:
        progress = parse(Progress, numbers, source="numbers")
    except ConfigError as error:
        raise DamagedError(f"{folder.name}/{NUMBERS}: {_one_line(error)}") from error
    if folder.name != name_of(progress.step):
        raise DamagedError(f"{folder.name}/{NUMBERS}: is of step {progress.step}")
    return progress


def _restore(folders: Sequence[Path], model: nn.Module, optimizer: Remembers) -> None:
    """Read the tensors of a state into a network and an optimiser, each process its shards."""
    from openmmb.training.run.sharded import read_shards, read_sizes

    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    sizes = [read_sizes(folder) for folder in folders]
    shapes = {name: size.shape for stored in sizes for name, size in stored.items()}
    weights = {name: shape for name, shape in shapes.items() if name.startswith("model.")}
    if weights != {name: tensor.shape for name, tensor in tensors.items()}:
        raise CheckpointError(f"{folders[0]}: its weights are not those of the recipe's model")
    for name in shapes.keys() - weights.keys():
        _, key, owner = name.split(".", 2)
        weight, size = model.get_parameter(owner), sizes[0][name]
        tensors[name] = (
            torch.zeros_like(weight, dtype=size.dtype, requires_grad=False)
            if size.shape == weight.shape
            else torch.zeros(size.shape, dtype=size.dtype, device=weight.device)
        )
        optimizer.state[weight][key] = tensors[name]
    for folder, stored in zip(folders, sizes, strict=True):
        read_shards(folder, {name: tensors[name] for name in stored})


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
