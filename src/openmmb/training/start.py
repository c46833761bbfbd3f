"""What every run begins with: a vocabulary learnt once, and weights only where they are needed."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from openmmb.checkpoint import CONFIG, find_checkpoint
from openmmb.distributed import is_main, main_first
from openmmb.errors import ConfigError
from openmmb.files import write_whole
from openmmb.hub import find_here
from openmmb.text.tokenizer import Tokenizer, load_tokenizer
from openmmb.training.run.run_folder import states

N = TypeVar("N", bound=nn.Module)

VOCABULARY = "tokenizer.json"
"""Name of the vocabulary that a run has learnt, in its folder."""


def find_given_start(name: str, command: str | None) -> Path:
    """Return the folder of the checkpoint that a recipe starts from.

    Args:
        name: What the recipe calls it.
        command: What makes it, if the recipe knows; the hub is then not asked for it.

    Raises:
        ConfigError: It is not here, and ``command`` is to make it first.
        CheckpointError: It is not here, and the hub does not have it or cannot be reached.
    """
    if command is not None and not (find_here(name) / CONFIG).is_file():
        raise ConfigError(f"start: {name} is not here yet; make it first: {command}")
    return find_checkpoint(name)


def learn_once(run: Path, learn: Callable[[], Tokenizer]) -> Tokenizer:
    """Learn a vocabulary and keep it in the run's folder, or return the one that is there.

    Of several processes the first learns it and the others read it.

    Raises:
        CheckpointError: The kept vocabulary is damaged.
    """
    kept = run / VOCABULARY
    with main_first():
        if kept.exists():
            return load_tokenizer(kept)
        tokenizer = learn()
        write_whole(kept, tokenizer.to_json())
        return tokenizer


def build_where_needed(run: Path, empty: Callable[[], N], fill: Callable[[], N]) -> N:
    """Build a network, with weights only where they are needed; ``place`` distributes them.

    They are needed in the first process of a run that has no state yet, since a state holds
    weights. Everywhere else the network is built without memory (on the ``meta`` device).

    Args:
        run: The run's folder.
        empty: Builds the network.
        fill: Builds it with the weights that the run starts from.
    """
    if states(run) or not is_main():
        with torch.device("meta"):
            return empty()
    return fill()
