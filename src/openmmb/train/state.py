"""What an interrupted run goes on from: weights, optimiser, and a few numbers.

A state is a folder ``state-<step>`` that appears whole or not at all. The newest one counts.
"""

import dataclasses
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from openmmb.errors import CheckpointError

TENSORS, NUMBERS = "state.safetensors", "state.json"
KEEP = 2


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
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best: float = float("inf")
    best_step: int = 0
    bad_validations: int = 0


def save_state(
    run: Path, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write the state of a run and remove all but the newest ``KEEP``."""
    folder = run / f"state-{progress.step:08d}"
    partial = run / "state.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, weight in model.named_parameters():
        for key, value in optimizer.state.get(weight, {}).items():
            tensors[f"optim.{key}.{name}"] = value
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial / TENSORS)
    numbers = partial / NUMBERS
    numbers.write_text(json.dumps(dataclasses.asdict(progress)), encoding="utf-8")
    for path in partial.iterdir():
        _sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    _sync(run)
    for old in _states(run)[:-KEEP]:
        shutil.rmtree(old)


def load_state(run: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Bring back the newest state of a run, if there is one.

    Raises:
        CheckpointError: The state does not fit the model.
    """
    states = _states(run)
    if not states:
        return Progress()
    folder = states[-1]
    tensors = load_file(folder / TENSORS)
    weights = {n[6:]: tensor for n, tensor in tensors.items() if n.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{folder}: does not fit the recipe's model: {error}") from error
    for name, weight in model.named_parameters():
        found = _optimizer_state(tensors, name)
        if found:
            optimizer.state[weight] = found
    numbers = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
    return Progress(**numbers)


def _optimizer_state(tensors: dict[str, Tensor], weight: str) -> dict[str, Tensor]:
    found = {}
    for key in ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
        name = f"optim.{key}.{weight}"
        if name in tensors:
            found[key] = tensors[name]
    return found


def _states(run: Path) -> list[Path]:
    return sorted(path for path in run.glob("state-*") if (path / NUMBERS).is_file())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
