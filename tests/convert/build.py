"""ParlAI's own folders, copied where a test may damage them.

Sizes: I image vectors, F features in each.
"""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openmmb.pickles import load_pickle
from openmmb.search.config import SearchConfig

DATA = Path(__file__).parent / "data"
METHODS = {"delayedbeam": "delayed_beam"}


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


def search_config(config: dict[str, Any]) -> SearchConfig:
    """Return ParlAI's options of a search, as they are recorded, as this project's."""
    longest = config.get("max_ts", 128)
    return SearchConfig(
        method=METHODS.get(config["inference"], config["inference"]),
        beam_size=config["beam_size"],
        min_length=min(config["beam_min_length"], longest - 1),
        max_length=longest,
        block_ngram=max(0, config["beam_block_ngram"]),
        block_context_ngram=max(0, config["beam_context_block_ngram"]),
        length_penalty=config.get("beam_length_penalty", 0.65),
        temperature=config.get("temperature", 1.0),
        top_k=config.get("topk", 10),
        top_p=config.get("topp", 0.9),
        beam_delay=config.get("beam_delay", 30),
    )


def pieces(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """Split a word as ``subword-nmt`` does: merge the best pair, wherever it is, until none is."""
    parts = [*word[:-1], word[-1] + "</w>"]
    while pairs := {pair for pair in itertools.pairwise(parts) if pair in ranks}:
        best = min(pairs, key=ranks.__getitem__)
        merged, at = [], 0
        while at < len(parts):
            if tuple(parts[at : at + 2]) == best:
                merged.append("".join(best))
                at += 2
            else:
                merged.append(parts[at])
                at += 1
        parts = merged
    return [part.removesuffix("</w>") if part.endswith("</w>") else part + "@@" for part in parts]
