"""ParlAI's own folders, copied where a test may damage them.

Sizes: I image vectors, F features in each.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openmmb.convert.stream import load_pickle

DATA = Path(__file__).parent / "data"


def read(name: str) -> Any:
    """Read a JSON file of the data."""
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def copy_micro(folder: Path, *, weights: str = "micro") -> Path:
    """Copy the folder of ParlAI's smallest model, or of ``chat``, which has other weights."""
    folder.mkdir()
    for path in (DATA / "micro").glob("model*"):
        shutil.copy(path, folder / path.name)
    shutil.copy(DATA / weights / "model", folder / "model")
    return folder


def change_options(folder: Path, **changes: Any) -> None:
    """Write other values into ``model.opt``; None takes an option away."""
    path = folder / "model.opt"
    options = json.loads(path.read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in options.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


def read_state(folder: Path) -> dict[str, Tensor]:
    """Read the weights of ``model`` under ParlAI's names, so that the file may be written over."""
    mapped: dict[str, Tensor] = load_pickle(folder / "model")["model"]
    return {name: tensor.clone() for name, tensor in mapped.items()}


def write_state(folder: Path, state: dict[str, Tensor], *, legacy: bool = False) -> None:
    """Write weights as ParlAI does, or as PyTorch did until 1.5."""
    whole = {"model": state, "number_training_updates": 7}
    torch.save(whole, folder / "model", _use_new_zipfile_serialization=not legacy)


def as_text_model(folder: Path) -> dict[str, Tensor]:
    """Make BlenderBot of it: no pictures, no segments. Returns its weights."""
    state = {
        name: tensor
        for name, tensor in read_state(folder).items()
        if not any(part in name for part in ("image_enc", "ones_mask", "segment"))
    }
    write_state(folder, state)
    change_options(folder, model="transformer/generator", n_segments=0)
    return state
