"""What an interrupted run goes on from: weights, optimiser, and a few numbers.

A state is a folder ``state-<step>`` that appears whole or not at all, and carries the hash of its
tensors. The newest one that is whole counts.
"""

import dataclasses
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from openmmb.checkpoint import replace_folder
from openmmb.errors import CheckpointError
from openmmb.train.folder import STATES

TENSORS, NUMBERS = "state.safetensors", "state.json"
KEEP = 2
"""States that stay: the newest, and the one before in case that is damaged."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        step: Updates done.
        tokens: Reply tokens learnt from.
        seconds: Time spent on updates.
        best: Lowest validation perplexity so far.
        best_step: When it was reached.
        bad_validations: How many have come since.
        skipped: Updates in a row that were left out, up to the last.
        recent_loss: Summed loss since the last ``step`` record.
        recent_tokens: Reply tokens since then.
        recent_seconds: Time since then.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best: float = float("inf")
    best_step: int = 0
    bad_validations: int = 0
    skipped: int = 0
    recent_loss: float = 0.0
    recent_tokens: int = 0
    recent_seconds: float = 0.0


class DamagedError(Exception):
    """A state's file is missing or is not what was written."""


def save_state(
    run: Path, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write the state of a run, and remove all others but the newest before it."""
    folder = run / f"state-{progress.step:08d}"
    partial = run / "state.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, weight in model.named_parameters():
        for key, value in optimizer.state.get(weight, {}).items():
            tensors[f"optim.{key}.{name}"] = value
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial / TENSORS)
    numbers = {**dataclasses.asdict(progress), "sha256": _hash(partial / TENSORS)}
    (partial / NUMBERS).write_text(json.dumps(numbers), encoding="utf-8")
    replace_folder(partial, folder)
    states = _states(run)
    kept = [state for state in states if state.name <= folder.name][-KEEP:]
    for old in states:
        if old not in kept:  # too old, or of a future that a damaged state has undone
            shutil.rmtree(old)


def load_state(
    run: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[Progress, tuple[str, ...]]:
    """Bring back the newest state of a run that is whole, if it has a state.

    Returns:
        Where the run stands, and what is wrong with each newer state.

    Raises:
        CheckpointError: No state is whole, or it does not fit the model.
    """
    damaged: list[str] = []
    for folder in reversed(_states(run)):
        try:
            progress, tensors = _read(folder)
        except DamagedError as error:
            damaged.append(str(error))
            continue
        _restore(folder, tensors, model, optimizer)
        return progress, tuple(damaged)
    if damaged:
        raise CheckpointError(
            f"{run}: no state is whole: {'; '.join(damaged)}; remove the folder to start anew"
        )
    return Progress(), ()


def _read(folder: Path) -> tuple[Progress, dict[str, Tensor]]:
    """Read a state and see that it is what was written."""
    try:
        numbers = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        expected = numbers.pop("sha256", None)
        progress = Progress(**numbers)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DamagedError(f"{folder.name}/{NUMBERS}: {error}") from error
    try:
        if expected is not None and _hash(folder / TENSORS) != expected:
            raise DamagedError(f"{folder.name}/{TENSORS}: its hash is not that of {NUMBERS}")
        return progress, load_file(folder / TENSORS)
    except (OSError, SafetensorError) as error:
        raise DamagedError(f"{folder.name}/{TENSORS}: {error}") from error


def _restore(
    folder: Path, tensors: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    weights = {
        name.removeprefix("model."): tensor
        for name, tensor in tensors.items()
        if name.startswith("model.")
    }
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{folder}: its weights are not those of the recipe's model"
        ) from error
    for name, weight in model.named_parameters():
        found = {
            key: tensors[f"optim.{key}.{name}"]
            for key in ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
            if f"optim.{key}.{name}" in tensors
        }
        if found:
            optimizer.state[weight] = found


def _states(run: Path) -> list[Path]:
    return sorted(path for path in run.glob(STATES) if path.is_dir())


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
