"""A training run, from a recipe to a checkpoint.

Everything that happens at an update follows from the recipe and the update's number, so a run
that was stopped goes on as if it had not been.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from openmmb.checkpoint import Checkpoint, save_checkpoint
from openmmb.config import dump
from openmmb.data.batch import Batch
from openmmb.data.draw import pick
from openmmb.data.loader import Encoder, Loader, in_order
from openmmb.errors import ConfigError
from openmmb.model.loss import token_loss
from openmmb.model.seq2seq import Seq2Seq
from openmmb.train.config import Recipe
from openmmb.train.examples import TaskExamples, some
from openmmb.train.log import Log, Record, Watch
from openmmb.train.memory import keep_freed_memory
from openmmb.train.optim import build_optimizer, train_step
from openmmb.train.prepare import Prepared, prepare
from openmmb.train.schedule import lr_scale
from openmmb.train.state import Progress, load_state, save_state

LOG_EVERY = 10
"""Updates between two ``step`` records."""


def train(recipe: Recipe, *, watch: Watch = lambda record: None) -> Path:
    """Run a recipe to its end, or on to its end, and return the folder of its best checkpoint.

    Args:
        recipe: What to do.
        watch: Sees every record of the log as it is written.

    Raises:
        ConfigError: The recipe does not fit the run that is in its folder, or its own parts do
            not fit each other.
        DataError: A data set or the image vectors are missing or malformed.
        CheckpointError: ``recipe.start`` is not a checkpoint.
    """
    run = Path(recipe.out)
    keep_freed_memory()
    _check_same_recipe(recipe, run)
    prepared = prepare(recipe)
    optimizer = build_optimizer(prepared.checkpoint.model, recipe.optim)
    progress = load_state(run, prepared.checkpoint.model, optimizer)
    log = Log(run, watch)
    log.cut_after(progress.step)
    log.write("start", {
        "step": progress.step,
        "max_steps": recipe.schedule.max_steps,
        "steps_per_epoch": prepared.loader.mixture.steps_per_epoch,
        "parameters": prepared.checkpoint.model.num_parameters(),
        **{f"examples/{task.config.name}": len(task.train) for task in prepared.tasks},
    })
    return _Run(recipe, prepared, optimizer, log, run).go(progress)


class _Run:
    """The loop around ``train_step``: schedule, log, validation, saves."""

    def __init__(
        self,
        recipe: Recipe,
        prepared: Prepared,
        optimizer: torch.optim.Optimizer,
        log: Log,
        folder: Path,
    ) -> None:
        self.recipe = recipe
        self.prepared = prepared
        self.model = prepared.checkpoint.model
        self.optimizer = optimizer
        self.log = log
        self.folder = folder

    def go(self, progress: Progress) -> Path:
        """Update until the recipe says that it is enough."""
        recent = _Window()
        for step, batches in self._batches(progress.step):
            started = time.perf_counter()
            lr = self.recipe.optim.lr * lr_scale(step, self.recipe.schedule)
            loss, tokens, norm = self._update(step, lr, batches)
            seconds = time.perf_counter() - started
            progress = dataclasses.replace(
                progress,
                step=step + 1,
                tokens=progress.tokens + tokens,
                seconds=progress.seconds + seconds,
            )
            recent.add(loss, tokens, seconds)
            if progress.step % LOG_EVERY == 0:
                self.log.write("step", {**recent.record(), **_place(progress), "lr": lr, "norm": norm})
                recent = _Window()
            progress = self._after(progress)
            if progress.bad_validations >= self.recipe.valid.patience:
                break
        if progress.step < self.recipe.schedule.max_steps or progress.step == 0:
            reason = "no better for too long"
        else:
            reason = "all steps done"
        self.log.write("end", {**_place(progress), "best": progress.best, "reason": reason})
        return self.folder / "checkpoint"

    def _batches(self, start: int) -> Iterator[tuple[int, list[Batch]]]:
        """Yield each update's number and batches; the next ones are made meanwhile."""
        count = self.recipe.data.accumulate

        def make(step: int) -> list[Batch]:
            return [self.prepared.loader.batch(step * count + part) for part in range(count)]

        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(make, start)
            for step in range(start, self.recipe.schedule.max_steps):
                batches = ahead.result()
                ahead = pool.submit(make, step + 1)
                yield step, batches

    def _update(self, step: int, lr: float, batches: list[Batch]) -> tuple[float, int, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        torch.manual_seed(pick(2**63, "noise", self.recipe.seed, step))
        self.model.train()
        smoothing = self.recipe.optim.label_smoothing
        return train_step(
            batches,
            lambda batch: self._loss(batch, smoothing),
            self.optimizer,
            max_grad_norm=self.recipe.optim.max_grad_norm,
        )

    def _loss(self, batch: Batch, label_smoothing: float) -> tuple[Tensor, int]:
        enabled = self.recipe.precision == "bf16"
        device_type = self.model.embeddings.weight.device.type
        with torch.autocast(device_type, torch.bfloat16, enabled=enabled):
            return reply_loss(
                self.model,
                batch,
                start_id=self.prepared.checkpoint.tokenizer.start_id,
                label_smoothing=label_smoothing,
            )

    def _after(self, progress: Progress) -> Progress:
        """Validate and save where it is time."""
        last = progress.step == self.recipe.schedule.max_steps
        if last or progress.step % self.recipe.valid.every_steps == 0:
            progress = self._validate(progress)
        if last or progress.step % self.recipe.save_every_steps == 0:
            save_state(self.folder, progress, self.model, self.optimizer)
            self.log.write("save", _place(progress))
        return progress

    def _validate(self, progress: Progress) -> Progress:
        perplexities = {
            task.config.name: self._perplexity(task) for task in self.prepared.tasks if task.valid
        }
        mean = sum(perplexities.values()) / max(1, len(perplexities))
        better = mean < progress.best
        progress = dataclasses.replace(
            progress,
            best=mean if better else progress.best,
            best_step=progress.step if better else progress.best_step,
            bad_validations=0 if better else progress.bad_validations + 1,
        )
        named: Record = {f"ppl/{name}": value for name, value in perplexities.items()}
        self.log.write("valid", {**_place(progress), "ppl": mean, "best": progress.best, **named})
        if better:
            save_checkpoint(
                self.prepared.checkpoint,
                self.folder / "checkpoint",
                precision=self.recipe.save_precision,
            )
        return progress

    @torch.inference_mode()
    def _perplexity(self, task: TaskExamples) -> float:
        self.model.eval()
        examples = some(task.valid, self.recipe.valid.max_examples)
        encoder = self.prepared.valid_encoder
        total, count = 0.0, 0
        for batch in in_order(examples, encoder, batch_size=self.recipe.data.batch_size):
            loss, tokens = self._loss(batch, label_smoothing=0.0)
            total, count = total + loss.item(), count + tokens
        return math.exp(min(50.0, total / max(1, count)))


def reply_loss(
    model: Seq2Seq, batch: Batch, *, start_id: int, label_smoothing: float = 0.0
) -> tuple[Tensor, int]:
    """Summed cross-entropy of a batch's reply tokens, and how many there are."""
    image = batch.image if batch.image.shape[1] else None
    hidden = model(
        batch.context, batch.context_mask, image, batch.has_image, batch.reply, start_id
    )
    hidden, targets = hidden[batch.reply_mask], batch.reply[batch.reply_mask]
    return token_loss(model.logits(hidden), targets, label_smoothing=label_smoothing), len(targets)


class _Window:
    """Sums over the updates since the last record."""

    def __init__(self) -> None:
        self.loss, self.tokens, self.seconds = 0.0, 0, 0.0

    def add(self, loss: float, tokens: int, seconds: float) -> None:
        self.loss += loss
        self.tokens += tokens
        self.seconds += seconds

    def record(self) -> Record:
        loss = self.loss / max(1, self.tokens)
        return {
            "loss": loss,
            "ppl": math.exp(min(50.0, loss)),
            "tokens_per_s": self.tokens / max(1e-9, self.seconds),
        }


def _place(progress: Progress) -> Record:
    return {"step": progress.step, "tokens": progress.tokens, "seconds": round(progress.seconds, 1)}


def _check_same_recipe(recipe: Recipe, run: Path) -> None:
    """Keep the recipe beside its run, and refuse to go on with another one."""
    path = run / "recipe.toml"
    text = dump(recipe)
    if path.exists() and any(run.glob("state-*")):
        old = path.read_text(encoding="utf-8")
        if old != text:
            changed = sorted(set(text.splitlines()) ^ set(old.splitlines()))
            raise ConfigError(
                f"{run}: holds a run of another recipe (differs in {'; '.join(changed[:4])}); "
                "set another 'out', or remove the folder"
            )
    run.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
