"""The loop of every training run: updates, log, validations, saves.

It knows nothing of replies or pictures: what is learnt is an ``Objective``. Everything that happens
at an update follows from the config and the update's number, so a run that was stopped continues as
if it had not been. The processes of a run (``openmmb.distributed``) all do the same; only the first
writes files and calls the watcher.
"""

import dataclasses
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Generic

import torch

from openmmb.data.prefetch import makers, prefetch
from openmmb.distributed import (
    any_rank,
    barrier,
    is_main,
    open_device,
    process_group,
    rank,
    world_size,
)
from openmmb.errors import TrainingError
from openmmb.training.run.config import RunConfig
from openmmb.training.run.counters import Progress
from openmmb.training.run.log import Log, Record, Watch
from openmmb.training.run.memory import TRIM_EVERY, give_back_memory, keep_freed_memory
from openmmb.training.run.objective import B, N, Objective
from openmmb.training.run.optim import build_optimizer
from openmmb.training.run.placement import choose_trainable, place
from openmmb.training.run.precision import autocast
from openmmb.training.run.run_folder import claim, locked
from openmmb.training.run.schedule import (
    EndReason,
    after_validation,
    limit_reached,
    validation_is_due,
)
from openmmb.training.run.state import load_state, save_state, writing
from openmmb.training.run.steps import Steps
from openmmb.training.run.stop import stop_signals
from openmmb.training.run.update import Shards, Updater


@dataclass(frozen=True)
class TrainingResult:
    """How a training run ended.

    Attributes:
        folder: Folder of the run: its log and its states.
        checkpoint: Folder of the best model so far; None if the run was stopped before its first
            validation.
        reason: Why the run ended; ``stopped`` if the same call would go on.
        steps: Updates done.
        best: Lowest validation score (of a model that talks, its perplexity); None if there is
            no checkpoint.
    """

    folder: Path
    checkpoint: Path | None
    reason: EndReason
    steps: int
    best: float | None


def run(
    prepare: Callable[[], Objective[N, B]],
    config: RunConfig,
    *,
    watch: Watch = lambda _: None,
    workers: int = 0,
) -> TrainingResult:
    """Train to the end, or on to the end.

    Ctrl-C or the signal SIGTERM end the run after the update at hand: its state is saved, and the
    next call goes on from there.

    Args:
        prepare: Reads what is needed and says what to learn. It may write into the run's folder,
            which then belongs to this config.
        config: Is kept in the run's folder and must stay as it is.
        watch: Sees every record of the log as it is written.
        workers: Processes that make batches ahead of time; 0: a thread of this one.

    Raises:
        ConfigError: The config does not fit the run that is in its folder, or this machine.
        CheckpointError: No state of the run is whole.
        TrainingError: Loss or gradient were not finite ten times in a row, or a validation before
            there is a checkpoint was not; or the disk is full.
    """
    folder = Path(config.out)
    device = open_device(config.device)
    with opened(config, device):
        objective = prepare()
        batches = partial(_batches, objective, rank(), world_size())
        with makers(batches, workers=workers) as made:  # before there is a network to copy
            model = objective.build()
            choose_trainable(model, config.trainable)
            place(model, device, config)
            keep_freed_memory()
            optimizer = build_optimizer(model, config.optim)
            log = Log(folder, watch) if is_main() else None
            with stop_signals() as stopped:
                loop = _Loop(objective, model, optimizer, config, device, log, stopped)
                progress, damaged = load_state(folder, model, optimizer, loop.sizes)
                loop.begin(progress, damaged)
                progress, reason = loop.go(progress, made)
    return TrainingResult(
        folder=folder,
        checkpoint=folder / "checkpoint" if progress.best_step else None,
        reason=reason,
        steps=progress.step,
        best=progress.best if progress.best_step else None,
    )


@contextmanager
def opened(config: RunConfig, device: torch.device) -> Iterator[None]:
    """Meet the run's other processes and hold its folder, which then belongs to this config."""
    folder = Path(config.out)
    with process_group(device):
        if is_main():
            with locked(folder):
                claim(config, folder)
                barrier()
                yield
        else:
            barrier()
            yield


def _batches(objective: Objective[N, B], rank: int, world_size: int, step: int) -> Shards[B]:
    return list(objective.batches(step, rank=rank, world_size=world_size))


class _Loop(Generic[N, B]):
    """Updates, validations and saves, until there is a reason to end."""

    def __init__(
        self,
        objective: Objective[N, B],
        model: N,
        optimizer: Steps,
        config: RunConfig,
        device: torch.device,
        log: Log | None,
        stopped: Callable[[], bool],
    ) -> None:
        self.objective = objective
        self.model = model
        self.optimizer = optimizer
        self.config = config
        self.device = device
        self.log = log
        self.stopped = stopped
        self.updater = Updater(objective, model, optimizer, config, device)
        self.sizes = objective.sizes(model)
        self.steps_per_epoch = float(self.sizes["steps_per_epoch"])

    def begin(self, progress: Progress, damaged: tuple[str, ...]) -> None:
        """Open the log where the run stands."""
        if self.log is not None:
            self.log.cut_after(progress.step)
        for problem in damaged:
            self._write("damaged", {"step": progress.step, "state": problem})
        for note in self.objective.notes() if progress.step == 0 else ():
            self._write("note", {"step": progress.step, "text": note})
        limit = self.config.schedule.max_steps
        best: Record = {"best": progress.best} if progress.best_step else {}
        self._write("start", {"step": progress.step, "max_steps": limit, **self.sizes, **best})

    def go(
        self, progress: Progress, made: Callable[[int, int], Generator[Shards[B], None, None]]
    ) -> tuple[Progress, EndReason]:
        """Update until there is a reason to end.

        Args:
            progress: Where the run stands.
            made: Gives the batches from one step to another.
        """
        reason = self._reason(progress)
        stop = self.config.schedule.max_steps
        with closing(_pinned(made, progress.step, stop, self.device)) as stream:
            while reason is None:
                before = progress
                progress = self.updater.update(progress, next(stream), self._write)
                if progress.step % TRIM_EVERY == 0:
                    give_back_memory()
                if self._validation_is_due(before, progress):
                    progress = self._validate(progress)
                reason = self._reason(progress)
                if reason or progress.step % self.config.save_every_steps == 0:
                    self._save(progress)
        self._write("end", {**progress.standing(), "best": progress.best, "reason": reason})
        return progress, reason

    def _reason(self, progress: Progress) -> EndReason | None:
        """Return why the run is over; None if it is not."""
        schedule = self.config.schedule
        limit = limit_reached(schedule, step=progress.step, seconds=progress.seconds)
        if limit:
            return limit
        if progress.bad_validations >= self.config.valid.patience:
            return "no better for too long"
        return "stopped" if any_rank(holds=self.stopped()) else None

    def _validation_is_due(self, before: Progress, now: Progress) -> bool:
        schedule, seconds = self.config.schedule, (before.seconds, now.seconds)
        if limit_reached(schedule, step=now.step, seconds=now.seconds):
            return True
        return validation_is_due(
            self.config.valid,
            step=now.step,
            seconds=seconds,
            steps_per_epoch=self.steps_per_epoch,
        )

    def _validate(self, progress: Progress) -> Progress:
        """Measure, and keep the model if it is the best so far."""
        self.model.eval()
        with torch.no_grad(), autocast(self.device, self.config.precision):
            scores = self.objective.validate(self.model)
        if not math.isfinite(scores.score) and not progress.best_step:
            raise TrainingError(
                f"{self.config.out}: step {progress.step}: the validation gave {scores.score}, and "
                "there is no checkpoint yet; use a lower learning rate, or another precision"
            )
        progress = progress.after_validation(scores.score)
        if progress.best_step == progress.step:
            folder = Path(self.config.out) / "checkpoint"
            with writing(str(folder)):
                self.objective.save(self.model, folder)
        plateau = after_validation(
            progress.plateau, scores.score, step=progress.step, config=self.config.schedule
        )
        self._write("valid", {**progress.standing(), **scores.numbers, "best": progress.best})
        return replace(progress, plateau=plateau)

    def _save(self, progress: Progress) -> None:
        save_state(Path(self.config.out), progress, self.model, self.optimizer, self.sizes)
        self._write("save", progress.standing())

    def _write(self, kind: str, numbers: Record) -> None:
        if self.log is not None:
            with writing(f"{self.config.out}: the log"):
                self.log.write(kind, numbers)


def _pinned(
    made: Callable[[int, int], Generator[Shards[B], None, None]],
    start: int,
    stop: int,
    device: torch.device,
) -> Generator[Shards[B], None, None]:
    """Yield each update's batches; only pinned memory is copied to a card while it computes."""
    with closing(made(start, stop)) as stream:
        if device.type == "cuda":
            yield from prefetch(lambda _: _pin(next(stream)), start, stop, workers=0)
        else:
            yield from stream


def _pin(shards: Shards[B]) -> Shards[B]:
    def pin(batch: B) -> B:
        names = [field.name for field in dataclasses.fields(batch)]
        return replace(batch, **{name: getattr(batch, name).pin_memory() for name in names})

    return [replace(shard, rows=pin(shard.rows)) for shard in shards]
