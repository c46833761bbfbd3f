"""One update of a run, and what is recorded of it."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Generic

import torch
from torch import Tensor

from openmmb.data.batch import Shard
from openmmb.data.draw import pick
from openmmb.distributed import all_reduce_sum, rank, world_size
from openmmb.errors import TrainingError
from openmmb.training.run.config import RunConfig
from openmmb.training.run.counters import Progress
from openmmb.training.run.log import Record
from openmmb.training.run.objective import B, N, Objective
from openmmb.training.run.optim import Update, train_step
from openmmb.training.run.precision import autocast
from openmmb.training.run.schedule import lr_scale
from openmmb.training.run.steps import Steps

LOG_EVERY = 10
"""Updates between two ``step`` records."""
MAX_SKIPPED = 10
"""Updates in a row that may be left out because their numbers are not finite."""

Shards = list[Shard[B]]
"""What a process gets of the batches of an update."""
Write = Callable[[str, Record], None]
"""Writes a record of a kind into the log."""


class Updater(Generic[N, B]):
    """Makes updates; what one does follows from the config and its number.

    Args:
        objective: What is learnt.
        model: Its network, placed.
        optimizer: Steps the network's weights.
        config: The run's.
        device: The device of this process.
    """

    def __init__(
        self,
        objective: Objective[N, B],
        model: N,
        optimizer: Steps,
        config: RunConfig,
        device: torch.device,
    ) -> None:
        self._objective = objective
        self._model = model
        self._optimizer = optimizer
        self._config = config
        self._device = device

    def update(self, progress: Progress, shards: Shards[B], write: Write) -> Progress:
        """Make one update, record it where that is due, and return where the run stands.

        Raises:
            TrainingError: Loss or gradient were not finite ``MAX_SKIPPED`` times in a row.
        """
        started = time.perf_counter()
        config, scaled = self._config, self._config.precision == "fp16"
        lr = self._set_lr(progress)
        # Each process draws noise of its own; the first draws what it would draw alone.
        own = (rank(),) if rank() else ()
        torch.manual_seed(pick(2**63, "noise", config.seed, progress.step, *own))
        self._model.train()
        update = train_step(
            shards,
            self._loss,
            self._optimizer,
            max_grad_norm=config.optim.max_grad_norm,
            loss_scale=progress.scale.value if scaled else 1.0,
        )
        seconds = time.perf_counter() - started
        seconds = all_reduce_sum([seconds])[0] / world_size()
        progress = progress.after_update(update, shards, seconds)
        if update.skipped:
            progress = self._skip(progress, update, write)
        if scaled:
            progress = replace(progress, scale=progress.scale.after(overflow=update.skipped))
        if progress.step % LOG_EVERY == 0:
            write("step", {**progress.recent(), "lr": lr, "norm": update.norm})
            progress = progress.after_record()
        return progress

    def _set_lr(self, progress: Progress) -> float:
        scale = lr_scale(progress.step, self._config.schedule)
        lr = self._config.optim.lr * scale * progress.plateau.factor
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        return lr

    def _loss(self, shard: Shard[B]) -> tuple[Tensor, int]:
        with autocast(self._device, self._config.precision):
            loss, count = self._objective.loss(self._model, shard.rows.to(self._device))
        return (loss, count) if shard.counts else (loss * 0.0, 0)

    def _skip(self, progress: Progress, update: Update, write: Write) -> Progress:
        """Record an update that changed nothing; a loss scaled too high is no fault of the run."""
        numbers: Record = {**progress.standing(), "loss": update.loss, "norm": update.norm}
        if self._config.precision == "fp16" and progress.scale.may_fall:
            write("skip", {**numbers, "in_a_row": 0, "scale": progress.scale.value})
            return progress
        progress = replace(progress, skipped=progress.skipped + 1)
        write("skip", {**numbers, "in_a_row": progress.skipped})
        if progress.skipped >= MAX_SKIPPED:
            optim, schedule = self._config.optim, self._config.schedule
            raise TrainingError(
                f"{self._config.out}: step {progress.step}: loss or gradient were not finite "
                f"{progress.skipped} times in a row; lower optim.lr ({optim.lr}) or "
                f"raise schedule.warmup_steps ({schedule.warmup_steps})"
            )
        return progress
