"""A training run, from a recipe to a checkpoint that can be talked to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from openmmb.checkpoint import Checkpoint, new_network, save_checkpoint
from openmmb.data.batch import Batch, Shard
from openmmb.data.draw import take_evenly
from openmmb.data.example import Example
from openmmb.distributed import full_state_dict, is_main, rank, world_size
from openmmb.eval.perplexity import perplexity_of
from openmmb.model.loss import reply_loss
from openmmb.model.network import TrainableNetwork
from openmmb.training.replies.config import Recipe
from openmmb.training.replies.prepare import Prepared, prepare
from openmmb.training.replies.start import build_network
from openmmb.training.run.log import Record, Watch
from openmmb.training.run.loop import opened, run_opened
from openmmb.training.run.objective import Scores


def train(recipe: Recipe, *, watch: Watch = lambda _: None) -> Path:
    """Run a recipe to its end, or on to its end, and return the folder of its best checkpoint.

    Ctrl-C or the signal SIGTERM end the run after the update at hand: its state is saved, and the
    next call goes on from there. A run that is stopped before its first validation has no
    checkpoint yet. The last record of the log gives the ``reason`` of the end.

    Args:
        recipe: What to do.
        watch: Sees every record of the log as it is written.

    Raises:
        ConfigError: The recipe does not fit the run that is in its folder, its own parts do not
            fit each other, or another run is at work in the folder.
        DataError: A data set or the image vectors are missing or malformed.
        CheckpointError: ``recipe.start`` is not a checkpoint, or no state of the run is whole.
        TrainingError: Loss or gradient were not finite ten times in a row, or the disk is full.
    """
    with opened(recipe):
        return run_opened(
            Replies(recipe, prepare(recipe)), recipe, watch=watch, workers=recipe.data.workers
        )


@dataclass(frozen=True)
class Replies:
    """To say what was said: the cross-entropy of replies in their contexts.

    Attributes:
        recipe: What to do.
        prepared: What it needs.
    """

    recipe: Recipe
    prepared: Prepared

    @cached_property
    def model(self) -> TrainableNetwork:
        """The network, built when it is first asked for."""
        return build_network(self.recipe, self.prepared.start)

    def batches(self, step: int) -> list[Shard[Batch]]:
        """Return this process's parts of the batches of update ``step``."""
        count, loader = self.recipe.data.accumulate, self.prepared.loader
        steps = range(step * count, (step + 1) * count)
        return [loader.shard(number, rank=rank(), world_size=world_size()) for number in steps]

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Return the summed loss of a batch's reply tokens, and their number."""
        return self._loss(batch, self.recipe.optim.label_smoothing)

    def validate(self) -> Scores:
        """Score by the mean of the tasks' perplexities."""
        perplexities = {
            f"ppl/{task.config.name}": self._perplexity(task.valid)
            for task in self.prepared.tasks
            if task.valid
        }
        mean = sum(perplexities.values()) / len(perplexities)
        return Scores(score=mean, numbers={"ppl": mean, **perplexities})

    def _perplexity(self, examples: Sequence[Example]) -> float:
        batcher = self.prepared.valid_batcher
        measured = take_evenly(examples, self.recipe.valid.max_examples)
        shards = batcher.batches(
            [batcher.row(example, 0) for example in measured],
            batch_size=self.recipe.data.batch_size,
            rank=rank(),
            world_size=world_size(),
        )
        return perplexity_of(lambda batch: self._loss(batch, 0.0), shards, self.model.device)

    def _loss(self, batch: Batch, label_smoothing: float) -> tuple[Tensor, int]:
        tokenizer = self.prepared.start.tokenizer
        hidden = self.model(
            batch.context,
            batch.context_mask,
            batch.image,
            batch.has_image,
            batch.reply,
            tokenizer.start_id,
            batch.side_by_side,
        )
        return reply_loss(
            self.model.logits,
            hidden,
            batch.reply,
            batch.target_mask,
            label_smoothing=label_smoothing,
            banned_ids=tokenizer.unsaid_ids(),
        )

    def save(self, folder: Path) -> None:
        """Write the checkpoint."""
        weights = full_state_dict(self.model)
        if not is_main():
            return
        with torch.device("meta"):
            model = new_network(self.prepared.start.config.model)
        model.load_state_dict(weights, assign=True)
        start = self.prepared.start
        checkpoint = Checkpoint(config=start.config, model=model, tokenizer=start.tokenizer)
        save_checkpoint(checkpoint, folder, precision=self.recipe.save_precision)

    def sizes(self) -> Record:
        """Count weights and examples."""
        loader, tasks = self.prepared.loader, self.prepared.tasks
        sizes: Record = {
            "steps_per_epoch": loader.sampler.steps_per_epoch / self.recipe.data.accumulate,
            "parameters": self.model.num_parameters(),
        }
        for task in tasks:
            sizes[f"examples/{task.config.name}"] = len(task.train)
            sizes[f"valid/{task.config.name}"] = len(task.valid)
        return sizes
