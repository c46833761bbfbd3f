"""Recipes and runs so small that an update takes milliseconds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from openmmb.checkpoint import Checkpoint, CheckpointConfig, save_checkpoint
from openmmb.data.encode import EncodeConfig
from openmmb.model.causal import CausalLM
from openmmb.search.config import SearchConfig
from openmmb.tasks.mixture import TaskConfig
from openmmb.training.replies.config import DataConfig, Recipe
from openmmb.training.run.config import OptimConfig, ScheduleConfig, ValidConfig
from tests.build import (
    TINY_F,
    TINY_I,
    tiny_checkpoint,
    tiny_config,
    tiny_tokenizer,
    write_tiny_data,
)
from tests.pretrained.build import wide

TEXT = (TaskConfig(name="convai2", weight=4.0), TaskConfig(name="dailydialog", weight=3.0))
PICTURES = (TaskConfig(name="image_chat", weight=3.0), TaskConfig(name="flickr8k", weight=3.0))


def tiny_recipe(
    folder: Path,
    *,
    out: str = "run",
    tasks: tuple[TaskConfig, ...] = TEXT,
    vocab_tasks: tuple[TaskConfig, ...] = (),
    start: str | None = None,
    features: Path | None = None,
    mirrored_features: Path | None = None,
    encoder: str = "tiny",
    batch_size: int = 4,
    accumulate: int = 1,
    dropout: float = 0.1,
    lr: float = 1e-3,
    max_steps: int = 30,
    save_every_steps: int = 10,
    valid_every_steps: int = 10,
    patience: int = 100,
) -> Recipe:
    """A recipe whose data (written if need be) and run lie in ``folder``."""
    root = folder / "data"
    if not root.exists():
        write_tiny_data(root)
    return Recipe(
        name="tiny",
        out=str(folder / out),
        tasks=tasks,
        vocab_tasks=vocab_tasks,
        start=start,
        vocab_size=320,
        save_every_steps=save_every_steps,
        data=DataConfig(
            root=str(root),
            features=str(features) if features else None,
            mirrored_features=str(mirrored_features) if mirrored_features else None,
            encoder=encoder,
            batch_size=batch_size,
            accumulate=accumulate,
        ),
        model=tiny_config(dropout=dropout),
        encode=EncodeConfig(max_context=48, max_pinned=24, max_reply=24),
        optim=OptimConfig(lr=lr),
        schedule=ScheduleConfig(warmup_steps=5, max_steps=max_steps),
        valid=ValidConfig(every_steps=valid_every_steps, patience=patience),
        search=SearchConfig(min_length=2, max_length=12),
    )


def write_start(folder: Path, *, encoder: str = "tiny", image_dim: int = TINY_F) -> str:
    """Write a checkpoint that a recipe can start from, and return its folder."""
    checkpoint = tiny_checkpoint(encoder=encoder, image_vectors=TINY_I, image_dim=image_dim)
    save_checkpoint(checkpoint, folder / "start", precision="fp32")
    return str(folder / "start")


def write_causal_start(folder: Path) -> str:
    """Write a checkpoint of a decoder-only network to start from, and return its folder."""
    tokenizer = tiny_tokenizer()
    shape = replace(wide("smollm2").config, vocab_size=tokenizer.vocab_size)
    model = CausalLM(shape)
    torch.manual_seed(0)
    model.initialise()
    config = CheckpointConfig(
        name="causal",
        encoder="tiny",
        model=shape,
        encode=EncodeConfig(max_context=48, max_pinned=24, max_reply=24),
        search=SearchConfig(),
    )
    save_checkpoint(Checkpoint(config, model, tokenizer), folder / "causal-start", precision="fp32")
    return str(folder / "causal-start")


def records(run: Path, *kinds: str) -> list[dict[str, Any]]:
    """The log's records of these kinds (all if none is named), without what a clock says."""
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [
        {key: value for key, value in record.items() if key not in ("seconds", "tokens_per_s")}
        for record in found
        if not kinds or record["kind"] in kinds
    ]
