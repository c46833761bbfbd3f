"""A training run, from a recipe to a checkpoint.

Everything that happens at an update follows from the recipe and the update's number, so a run
that was stopped goes on as if it had not been.
"""

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch

from openmmb.checkpoint import save_checkpoint
from openmmb.data.batch import Batch
from openmmb.data.draw import pick
from openmmb.errors import TrainingError
from openmmb.eval.perplexity import perplexity, perplexity_of, reply_loss
from openmmb.train.config import Recipe
from openmmb.train.examples import some
from openmmb.train.folder import claim
from openmmb.train.log import Log, Record, Watch
from openmmb.train.memory import TRIM_EVERY, give_back_memory, keep_freed_memory
from openmmb.train.optim import Update, build_optimizer, train_step
from openmmb.train.prepare import Prepared, prepare
from openmmb.train.schedule import lr_scale
from openmmb.train.state import Progress, load_state, save_state
from openmmb.train.stop import stop_signals

LOG_EVERY = 10
"""Updates between two ``step`` records."""
MAX_SKIPPED = 10
"""Updates in a row whose numbers may be not finite; each is left out and recorded."""


def train(recipe: Recipe, *, watch: Watch = lambda _: None) -> Path:
    """Run a recipe to its end, or on to its end, and return the folder of its best checkpoint.

    Ctrl-C or the signal SIGTERM end the run after the update at hand: its state is saved, and the
    next call goes on from there. A run that is stopped before its first validation has no
    checkpoint yet. The last record of the log gives the ``reason`` of the end.

    Args:
        recipe: What to do.
        watch: Sees every record of the log as it is written.

    Raises:
        ConfigError: The recipe does not fit the run that is in its folder, or its own parts do
            not fit each other.
        DataError: A data set or the image vectors are missing or malformed.
        CheckpointError: ``recipe.start`` is not a checkpoint, or no state of the run is whole.
        TrainingError: Loss or gradient were not finite ``MAX_SKIPPED`` times in a row.
    """
    run = Path(recipe.out)
    keep_freed_memory()
    claim(recipe, run)
    prepared = prepare(recipe)
    model = prepared.checkpoint.model
    optimizer = build_optimizer(model, recipe.optim)
    progress, damaged = load_state(run, model, optimizer)
    log = Log(run, watch)
    log.cut_after(progress.step)
    for problem in damaged:
        log.write("damaged", {"step": progress.step, "state": problem})
    log.write("start", {"step": progress.step, **_sizes(recipe, prepared)})
    with stop_signals() as stopped:
        _Run(recipe, prepared, optimizer, log, stopped).go(progress)
    return run / "checkpoint"


class _Run:
    """The loop around ``train_step``: schedule, log, validation, saves."""

    def __init__(
        self,
        recipe: Recipe,
        prepared: Prepared,
        optimizer: torch.optim.Optimizer,
        log: Log,
        stopped: Callable[[], bool],
    ) -> None:
        self.recipe = recipe
        self.prepared = prepared
        self.model = prepared.checkpoint.model
        self.optimizer = optimizer
        self.log = log
        self.stopped = stopped

    def go(self, progress: Progress) -> None:
        """Update until there is a reason to end."""
        reason = self._reason(progress)
        with closing(self._batches(progress.step)) as stream:
            while not reason:
                progress = self._update(progress, next(stream))
                if progress.step % TRIM_EVERY == 0:
                    give_back_memory()
                if self._is_time(progress, self.recipe.valid.every_steps):
                    progress = self._validate(progress)
                reason = self._reason(progress)
                if reason or self._is_time(progress, self.recipe.save_every_steps):
                    self._save(progress)
        self.log.write("end", {**_place(progress), "best": progress.best, "reason": reason})

    def _reason(self, progress: Progress) -> str:
        """Say why the run is over; nothing if it is not."""
        if progress.step >= self.recipe.schedule.max_steps:
            return "all steps done"
        if progress.bad_validations >= self.recipe.valid.patience:
            return "no better for too long"
        return "stopped" if self.stopped() else ""

    def _is_time(self, progress: Progress, every: int) -> bool:
        return progress.step % every == 0 or progress.step == self.recipe.schedule.max_steps

    def _batches(self, start: int) -> Generator[list[Batch], None, None]:
        """Yield each update's batches; the next ones are made meanwhile."""
        count = self.recipe.data.accumulate

        def make(step: int) -> list[Batch]:
            return [self.prepared.loader.batch(step * count + part) for part in range(count)]

        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(make, start)
            for step in range(start, self.recipe.schedule.max_steps):
                batches = ahead.result()
                ahead = pool.submit(make, step + 1)
                yield batches

    def _update(self, progress: Progress, batches: list[Batch]) -> Progress:
        """Make one update and record it; a random draw follows from its number alone."""
        started = time.perf_counter()
        config = self.recipe.optim
        lr = config.lr * lr_scale(progress.step, self.recipe.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        torch.manual_seed(pick(2**63, "noise", self.recipe.seed, progress.step))
        self.model.train()
        update = train_step(
            batches,
            lambda batch: reply_loss(
                self.model,
                batch,
                start_id=self.prepared.checkpoint.tokenizer.start_id,
                banned_ids=self.prepared.checkpoint.tokenizer.unsaid_ids(),
                label_smoothing=config.label_smoothing,
                bf16=self.recipe.precision == "bf16",
            ),
            self.optimizer,
            max_grad_norm=config.max_grad_norm,
        )
        seconds = time.perf_counter() - started
        progress = replace(progress, step=progress.step + 1, seconds=progress.seconds + seconds)
        progress = self._skip(progress, update) if update.skipped else _learn(progress, update)
        progress = replace(progress, recent_seconds=progress.recent_seconds + seconds)
        if progress.step % LOG_EVERY == 0:
            self.log.write("step", {**_recent(progress), "lr": lr, "norm": update.norm})
            progress = replace(progress, recent_loss=0.0, recent_tokens=0, recent_seconds=0.0)
        return progress

    def _skip(self, progress: Progress, update: Update) -> Progress:
        """Record an update that changed nothing."""
        progress = replace(progress, skipped=progress.skipped + 1)
        numbers: Record = {"loss": update.loss, "norm": update.norm, "in_a_row": progress.skipped}
        self.log.write("skip", {**_place(progress), **numbers})
        if progress.skipped >= MAX_SKIPPED:
            raise TrainingError(
                f"{self.recipe.out}: step {progress.step}: loss or gradient are not finite "
                f"{progress.skipped} times in a row; lower optim.lr ({self.recipe.optim.lr}) or "
                f"raise schedule.warmup_steps ({self.recipe.schedule.warmup_steps})"
            )
        return progress

    def _validate(self, progress: Progress) -> Progress:
        """Measure, and keep the model if it is the best so far."""
        perplexities = {
            f"ppl/{task.config.name}": perplexity_of(
                self.model,
                some(task.valid, self.recipe.valid.max_examples),
                self.prepared.valid_encoder,
                batch_size=self.recipe.data.batch_size,
                bf16=self.recipe.precision == "bf16",
            )
            for task in self.prepared.tasks
            if task.valid
        }
        mean = sum(perplexities.values()) / len(perplexities)
        if mean < progress.best:
            progress = replace(progress, best=mean, best_step=progress.step, bad_validations=0)
            precision = self.recipe.save_precision
            folder = Path(self.recipe.out) / "checkpoint"
            save_checkpoint(self.prepared.checkpoint, folder, precision=precision)
        else:
            progress = replace(progress, bad_validations=progress.bad_validations + 1)
        numbers: Record = {"ppl": mean, "best": progress.best, **perplexities}
        self.log.write("valid", {**_place(progress), **numbers})
        return progress

    def _save(self, progress: Progress) -> None:
        save_state(Path(self.recipe.out), progress, self.model, self.optimizer)
        self.log.write("save", _place(progress))


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
    return {
        "loss": loss / max(1, tokens),
        "ppl": perplexity(loss, tokens),
        "tokens_per_s": tokens / max(1e-9, progress.recent_seconds),
        **_place(progress),
    }


def _sizes(recipe: Recipe, prepared: Prepared) -> Record:
    sizes: Record = {
        "max_steps": recipe.schedule.max_steps,
        "steps_per_epoch": prepared.loader.mixture.steps_per_epoch / recipe.data.accumulate,
        "parameters": prepared.checkpoint.model.num_parameters(),
    }
    for task in prepared.tasks:
        sizes[f"examples/{task.config.name}"] = len(task.train)
        sizes[f"valid/{task.config.name}"] = len(task.valid)
    return sizes
