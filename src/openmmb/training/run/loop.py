"""The loop of every training run: updates, log, validations, saves.

It knows nothing of replies or pictures: what is learnt is an ``Objective``. Everything that happens
at an update follows from the settings and the update's number, so a run that was stopped goes on
as if it had not been. The processes of a run (``openmmb.distributed``) all do the same; the first
alone writes and tells.
"""

import dataclasses
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Generic

import torch
from torch import Tensor

from openmmb.data.batch import Shard
from openmmb.data.draw import pick
from openmmb.data.prefetch import makers, prefetch
from openmmb.distributed import (
    all_reduce_sum,
    any_rank,
    barrier,
    is_main,
    local_rows,
    open_device,
    process_group,
    rank,
    world_size,
)
from openmmb.errors import TrainingError
from openmmb.eval.perplexity import perplexity
from openmmb.training.run.log import Log, Record, Watch
from openmmb.training.run.memory import TRIM_EVERY, give_back_memory, keep_freed_memory
from openmmb.training.run.objective import B, Objective, RunSettings
from openmmb.training.run.optim import Update, build_optimizer, train_step
from openmmb.training.run.placement import place
from openmmb.training.run.precision import autocast
from openmmb.training.run.run_folder import claim, locked
from openmmb.training.run.schedule import after_validation, lr_scale
from openmmb.training.run.state import Progress, load_state, save_state, writing
from openmmb.training.run.stop import stop_signals

LOG_EVERY = 10
"""Updates between two ``step`` records."""
MAX_SKIPPED = 10
"""Updates in a row whose numbers may be not finite; each is left out and recorded."""


def run(
    objective: Objective[B],
    settings: RunSettings,
    *,
    watch: Watch = lambda _: None,
    workers: int = 0,
) -> Path:
    """Train to the end, or on to the end, and return the folder of the best checkpoint.

    Ctrl-C or the signal SIGTERM end the run after the update at hand: its state is saved, and the
    next call goes on from there. A run that is stopped before its first validation has no
    checkpoint yet. The last record of the log gives the ``reason`` of the end.

    Args:
        objective: What to learn.
        settings: A config, which is kept in the run's folder and must stay as it is.
        watch: Sees every record of the log as it is written.
        workers: Processes that make batches ahead; 0: a thread of this one.

    Raises:
        ConfigError: The settings do not fit the run that is in their folder, or this machine.
        CheckpointError: No state of the run is whole.
        TrainingError: Loss or gradient were not finite ``MAX_SKIPPED`` times in a row, or the disk
            is full.
    """
    with opened(settings):
        return run_opened(objective, settings, watch=watch, workers=workers)


@contextmanager
def opened(settings: RunSettings) -> Iterator[None]:
    """Meet the run's other processes and hold its folder, which then is of these settings."""
    folder = Path(settings.out)
    with process_group(open_device(settings.device)):
        if is_main():
            with locked(folder):
                claim(settings, folder)
                barrier()
                yield
        else:
            barrier()
            yield


def run_opened(
    objective: Objective[B],
    settings: RunSettings,
    *,
    watch: Watch = lambda _: None,
    workers: int = 0,
) -> Path:
    """Do the same as ``run`` inside ``opened``, for callers that need the folder before."""
    folder = Path(settings.out)
    with makers(partial(_parts, objective), workers=workers) as made:
        place(
            objective.model,
            open_device(settings.device),
            precision=settings.precision,
            memory_efficient=settings.memory_efficient,
            recompute=settings.activation_checkpointing,
        )
        keep_freed_memory()
        optimizer = build_optimizer(objective.model, settings.optim)
        progress, damaged = load_state(folder, objective.model, optimizer)
        log = Log(folder, watch) if is_main() else None
        with stop_signals() as stopped:
            loop = _Loop(objective, settings, optimizer, log, stopped, made)
            loop.begin(progress, damaged)
            loop.go(progress)
    return folder / "checkpoint"


Parts = list[Shard[B]]
"""What a process gets of the batches of an update."""


def _parts(objective: Objective[B], step: int) -> Parts[B]:
    batches = objective.batches(step)
    return [batch if isinstance(batch, Shard) else Shard(*local_rows(batch)) for batch in batches]


class _Loop(Generic[B]):
    """The loop around ``train_step``."""

    def __init__(
        self,
        objective: Objective[B],
        settings: RunSettings,
        optimizer: torch.optim.Optimizer,
        log: Log | None,
        stopped: Callable[[], bool],
        made: Callable[[int, int], Generator[Parts[B], None, None]],
    ) -> None:
        self.objective = objective
        self.settings = settings
        self.optimizer = optimizer
        self.device = open_device(settings.device)
        self.log = log
        self.stopped = stopped
        self.made = made
        self.steps_per_epoch = 0.0

    def begin(self, progress: Progress, damaged: tuple[str, ...]) -> None:
        """Open the log where the run stands."""
        sizes = self.objective.sizes()
        self.steps_per_epoch = float(sizes["steps_per_epoch"])
        if self.log is not None:
            self.log.cut_after(progress.step)
        for problem in damaged:
            self._write("damaged", {"step": progress.step, "state": problem})
        limit = self.settings.schedule.max_steps
        best: Record = {"best": progress.best} if progress.best_step else {}
        self._write("start", {"step": progress.step, "max_steps": limit, **sizes, **best})

    def go(self, progress: Progress) -> None:
        """Update until there is a reason to end."""
        reason = self._reason(progress)
        with closing(self._batches(progress.step)) as stream:
            while not reason:
                before, progress = progress, self._update(progress, next(stream))
                if progress.step % TRIM_EVERY == 0:
                    give_back_memory()
                if self._limit(progress) or self._validation_is_due(before, progress):
                    progress = self._validate(progress)
                reason = self._reason(progress)
                if reason or progress.step % self.settings.save_every_steps == 0:
                    self._save(progress)
        self._write("end", {**_place(progress), "best": progress.best, "reason": reason})

    def _reason(self, progress: Progress) -> str:
        """Say why the run is over; nothing if it is not."""
        limit = self._limit(progress)
        if limit:
            return limit
        if progress.bad_validations >= self.settings.valid.patience:
            return "no better for too long"
        return "stopped" if any_rank(holds=self.stopped()) else ""

    def _limit(self, progress: Progress) -> str:
        """Say which limit of the schedule is reached."""
        schedule = self.settings.schedule
        if progress.step >= schedule.max_steps:
            return "all steps done"
        if schedule.max_seconds is not None and progress.seconds >= schedule.max_seconds:
            return "all time used"
        return ""

    def _validation_is_due(self, before: Progress, now: Progress) -> bool:
        """Say whether the last update has come past the time for one."""
        valid = self.settings.valid
        if valid.every_seconds is not None:
            return _passed(before.seconds, now.seconds, valid.every_seconds)
        if valid.every_epochs is not None:
            return _passed(before.step, now.step, valid.every_epochs * self.steps_per_epoch)
        return now.step % valid.every_steps == 0

    def _batches(self, start: int) -> Generator[Parts[B], None, None]:
        """Yield what this process gets of each update's batches; the next are made meanwhile."""
        stop = self.settings.schedule.max_steps
        with closing(self.made(start, stop)) as stream:
            if self.device.type == "cuda":  # only pinned memory is copied while others compute
                yield from prefetch(lambda _: _pinned(next(stream)), start, stop, workers=0)
            else:
                yield from stream

    def _loss(self, part: Shard[B]) -> tuple[Tensor, int]:
        with autocast(self.device, self.settings.precision):
            loss, count = self.objective.loss(part.rows.to(self.device))
        return (loss, count) if part.counts else (loss * 0.0, 0)

    def _update(self, progress: Progress, batches: Parts[B]) -> Progress:
        """Make one update and record it; a random draw follows from its number alone."""
        started = time.perf_counter()
        settings = self.settings
        lr = (
            settings.optim.lr * lr_scale(progress.step, settings.schedule) * progress.plateau.factor
        )
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        # Each process draws noise of its own; the first draws what it would draw alone.
        mine = (rank(),) if rank() else ()
        torch.manual_seed(pick(2**63, "noise", settings.seed, progress.step, *mine))
        self.objective.model.train()
        scaled = settings.precision == "fp16"
        update = train_step(
            batches,
            self._loss,
            self.optimizer,
            max_grad_norm=settings.optim.max_grad_norm,
            loss_scale=progress.scale.value if scaled else 1.0,
        )
        seconds = time.perf_counter() - started
        seconds = all_reduce_sum([seconds])[0] / world_size()
        progress = replace(progress, step=progress.step + 1, seconds=progress.seconds + seconds)
        progress = self._skip(progress, update) if update.skipped else _learn(progress, update)
        if scaled:
            progress = replace(progress, scale=progress.scale.after(overflow=update.skipped))
        progress = _count(progress, batches, seconds)
        if progress.step % LOG_EVERY == 0:
            self._write("step", {**_recent(progress), "lr": lr, "norm": update.norm})
            progress = replace(
                progress,
                recent_loss=0.0,
                recent_tokens=0,
                recent_seconds=0.0,
                recent_filled=0,
                recent_places=0,
            )
        return progress

    def _skip(self, progress: Progress, update: Update) -> Progress:
        """Record an update that changed nothing; a loss scaled too high is no fault of the run."""
        numbers: Record = {**_place(progress), "loss": update.loss, "norm": update.norm}
        if self.settings.precision == "fp16" and progress.scale.may_fall:
            self._write("skip", {**numbers, "in_a_row": 0, "scale": progress.scale.value})
            return progress
        progress = replace(progress, skipped=progress.skipped + 1)
        self._write("skip", {**numbers, "in_a_row": progress.skipped})
        if progress.skipped >= MAX_SKIPPED:
            optim, schedule = self.settings.optim, self.settings.schedule
            raise TrainingError(
                f"{self.settings.out}: step {progress.step}: loss or gradient are not finite "
                f"{progress.skipped} times in a row; lower optim.lr ({optim.lr}) or "
                f"raise schedule.warmup_steps ({schedule.warmup_steps})"
            )
        return progress

    def _validate(self, progress: Progress) -> Progress:
        """Measure, and keep the model if it is the best so far."""
        self.objective.model.eval()
        with torch.no_grad(), autocast(self.device, self.settings.precision):
            scores = self.objective.validate()
        if scores.score < progress.best:
            progress = replace(
                progress, best=scores.score, best_step=progress.step, bad_validations=0
            )
            folder = Path(self.settings.out) / "checkpoint"
            with writing(str(folder)):
                self.objective.save(folder)
        else:
            progress = replace(progress, bad_validations=progress.bad_validations + 1)
        schedule = self.settings.schedule
        plateau = after_validation(
            progress.plateau, scores.score, step=progress.step, config=schedule
        )
        self._write("valid", {**_place(progress), **scores.numbers, "best": progress.best})
        return replace(progress, plateau=plateau)

    def _save(self, progress: Progress) -> None:
        save_state(Path(self.settings.out), progress, self.objective.model, self.optimizer)
        self._write("save", _place(progress))

    def _write(self, kind: str, numbers: Record) -> None:
        if self.log is not None:
            with writing(f"{self.settings.out}: the log"):
                self.log.write(kind, numbers)


def _passed(before: float, now: float, every: float) -> bool:
    """Say whether a multiple of ``every`` lies above ``before`` and not above ``now``."""
    return now // every > before // every


def _pinned(parts: Parts[B]) -> Parts[B]:
    def pin(batch: B) -> B:
        names = [field.name for field in dataclasses.fields(batch)]
        return replace(batch, **{name: getattr(batch, name).pin_memory() for name in names})

    return [replace(part, rows=pin(part.rows)) for part in parts]


def _count(progress: Progress, batches: Parts[B], seconds: float) -> Progress:
    return replace(
        progress,
        recent_seconds=progress.recent_seconds + seconds,
        recent_filled=progress.recent_filled + sum(part.tokens for part in batches),
        recent_places=progress.recent_places + sum(part.positions for part in batches),
    )


def _learn(progress: Progress, update: Update) -> Progress:
    return replace(
        progress,
        tokens=progress.tokens + update.tokens,
        skipped=0,
        recent_loss=progress.recent_loss + update.loss,
        recent_tokens=progress.recent_tokens + update.tokens,
    )


def _place(progress: Progress) -> Record:
    return {"step": progress.step, "tokens": progress.tokens, "seconds": round(progress.seconds, 1)}


def _recent(progress: Progress) -> Record:
    """Return the means over the updates since the last record."""
    loss, tokens = progress.recent_loss, progress.recent_tokens
    filled, places = progress.recent_filled, progress.recent_places
    padding: Record = {"padding": 1 - filled / places} if places else {}
    return {
        "loss": loss / max(1, tokens),
        "ppl": perplexity(loss, tokens),
        "tokens_per_s": tokens / max(1e-9, progress.recent_seconds),
        **padding,
        **_place(progress),
    }
