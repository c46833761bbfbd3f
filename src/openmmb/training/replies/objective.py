"""What a model that talks learns: to predict replies in their contexts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from torch import Tensor

from openmmb.checkpoint import Checkpoint, empty_network, save_checkpoint
from openmmb.data.batch import Batch, Shard
from openmmb.data.draw import take_evenly
from openmmb.data.example import Example
from openmmb.distributed import full_state_dict, is_main, rank, world_size
from openmmb.errors import DataError
from openmmb.eval.perplexity import perplexity_of
from openmmb.model.loss import reply_loss
from openmmb.model.network import TrainableNetwork
from openmmb.training.replies.align import align
from openmmb.training.replies.config import Recipe
from openmmb.training.replies.digests import digest_pictures, digest_polarities, own_texts
from openmmb.training.replies.prepare import Prepared
from openmmb.training.replies.start import build_network
from openmmb.training.run.log import Record
from openmmb.training.run.objective import Scores
from openmmb.training.run.seal import digest_texts


@dataclass(frozen=True)
class Replies:
    """The cross-entropy of replies in their contexts.

    Attributes:
        recipe: The run's config.
        prepared: Its data, its vocabulary, the shape of its network.
    """

    recipe: Recipe
    prepared: Prepared

    def build(self) -> TrainableNetwork:
        """Build the network."""
        return build_network(self.recipe, self.prepared.start, self._align)

    def batches(self, step: int, *, rank: int, world_size: int) -> list[Shard[Batch]]:
        """Return what process ``rank`` gets of the batches of update ``step``."""
        count, loader = self.recipe.data.accumulate, self.prepared.loader
        steps = range(step * count, (step + 1) * count)
        return [loader.shard(number, rank=rank, world_size=world_size) for number in steps]

    def loss(self, model: TrainableNetwork, batch: Batch) -> tuple[Tensor, int]:
        """Return the summed loss of a batch's reply tokens, and their number."""
        return self._loss(model, batch, self.recipe.optim.label_smoothing)

    def validate(self, model: TrainableNetwork) -> Scores:
        """Score by the mean of the tasks' perplexities."""
        perplexities = {
            f"ppl/{task.config.name}": self._perplexity(model, task.valid)
            for task in self.prepared.tasks
            if task.valid
        }
        mean = sum(perplexities.values()) / len(perplexities)
        return Scores(score=mean, numbers={"ppl": mean, **perplexities})

    def save(self, model: TrainableNetwork, folder: Path) -> None:
        """Write the checkpoint."""
        weights = full_state_dict(model)
        if not is_main():
            return
        start = self.prepared.start
        whole = empty_network(start.config)
        whole.load_state_dict(weights, assign=True)
        checkpoint = Checkpoint(config=start.config, model=whole, tokenizer=start.tokenizer)
        save_checkpoint(checkpoint, folder, precision=self.recipe.save_precision)

    def notes(self) -> Sequence[str]:
        """Say what is kept of the checkpoint that the run starts from."""
        return (*self.prepared.start.notes, *self.prepared.notes)

    def sizes(self, model: TrainableNetwork) -> Record:
        """Count weights and examples, and tell their words and pictures from others."""
        loader, tasks = self.prepared.loader, self.prepared.tasks
        sizes: Record = {
            "steps_per_epoch": loader.sampler.steps_per_epoch / self.recipe.data.accumulate,
            "parameters": model.num_parameters(),
        }
        for task in tasks:
            sizes[f"examples/{task.config.name}"] = len(task.train)
            sizes[f"valid/{task.config.name}"] = len(task.valid)
        examples = [one for task in tasks for one in chain(task.train, task.valid)]
        sizes["data"] = digest_texts(chain.from_iterable(map(own_texts, examples)))
        if loader.batcher.views:
            image_ids = {one.image_id for one in examples if one.image_id is not None}
            sizes["features"] = digest_pictures(loader.batcher, image_ids)
        if loader.batcher.controls.polarities:
            sizes["polarities"] = digest_polarities(loader.batcher.controls.polarities)
        return sizes

    def _align(self, model: TrainableNetwork) -> None:
        """Teach the picture projector words, where the recipe asks for it."""
        recipe, prepared = self.recipe, self.prepared
        if recipe.align.steps:
            if not prepared.valid_batcher.views:
                raise DataError(
                    "align.steps: no task has pictures; add a task with captions, or set "
                    "align.steps = 0"
                )
            examples = chain.from_iterable(task.train for task in prepared.tasks)
            vectors = prepared.valid_batcher.views[0]
            align(model, examples, vectors, prepared.start.tokenizer, recipe.align, recipe.seed)

    def _perplexity(self, model: TrainableNetwork, examples: Sequence[Example]) -> float:
        batcher = self.prepared.valid_batcher
        measured = take_evenly(examples, self.recipe.valid.max_examples)
        shards = batcher.batches(
            [batcher.row(example, 0) for example in measured],
            batch_size=self.recipe.data.batch_size,
            rank=rank(),
            world_size=world_size(),
        )
        return perplexity_of(lambda batch: self._loss(model, batch, 0.0), shards, model.device)

    def _loss(
        self, model: TrainableNetwork, batch: Batch, label_smoothing: float
    ) -> tuple[Tensor, int]:
        tokenizer = self.prepared.start.tokenizer
        hidden = model(  # called as a whole, so that sharded weights are gathered
            batch.context,
            batch.context_mask,
            batch.image,
            batch.has_image,
            batch.reply,
            tokenizer.start_id,
            batch.side_by_side,
        )
        return reply_loss(
            model.logits,
            hidden,
            batch.reply,
            batch.target_mask,
            label_smoothing=label_smoothing,
            banned_ids=tokenizer.unsaid_ids(),
        )
