"""What a run needs before its first update: data, vocabulary, the network's shape."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from openmmb.data.batcher import Batcher
from openmmb.data.controls import NEGATIVE, POSITIVE, Controls
from openmmb.data.loader import Loader
from openmmb.data.sampler import Sampler
from openmmb.errors import DataError
from openmmb.tasks import is_own
from openmmb.tasks.mixture import FeatureFolders, TaskExamples, open_batches, read_task
from openmmb.training.replies.config import Recipe
from openmmb.training.replies.start import Start, find_start


@dataclass(frozen=True)
class Prepared:
    """Everything that a run works with but its network, which ``build_network`` builds.

    Attributes:
        start: Vocabulary and settings, untrained or from ``recipe.start``.
        tasks: The data sets, read.
        loader: Their training batches.
        valid_batcher: Makes batches of their validation examples, with pictures unmirrored.
        notes: What people should know of the data.
    """

    start: Start
    tasks: tuple[TaskExamples, ...]
    loader: Loader
    valid_batcher: Batcher
    notes: tuple[str, ...] = ()


def prepare(recipe: Recipe) -> Prepared:
    """Read the data and find out what network the run has.

    Raises:
        ConfigError: The recipe's parts do not fit each other.
        DataError: Data is missing or malformed, or there is nothing to validate on.
        CheckpointError: ``recipe.start`` is not a checkpoint.
    """
    root = Path(recipe.data.root)
    tasks = tuple(read_task(task, root) for task in recipe.tasks)
    if not any(task.valid for task in tasks):
        raise DataError("no task has examples to validate on; give one a larger 'holdout'")
    start = find_start(recipe, tasks)
    model = start.config.model
    batcher = open_batches(
        chain.from_iterable((*task.train, *task.valid) for task in tasks),
        root=root,
        tokenizer=start.tokenizer,
        encode=start.config.encode,
        controls=start.controls,
        seed=recipe.seed,
        features=FeatureFolders(
            encoder=start.config.encoder,
            image_shape=(model.image_vectors, model.image_dim),
            plain=recipe.data.features,
            mirrored=recipe.data.mirrored_features,
        ),
    )
    sampler = Sampler(
        examples=tuple(task.train for task in tasks),
        weights=tuple(task.config.weight for task in tasks),
        batch_size=recipe.data.batch_size,
        seed=recipe.seed,
    )
    return Prepared(
        start=start,
        tasks=tasks,
        loader=Loader(tasks=tuple(t.train for t in tasks), sampler=sampler, batcher=batcher),
        valid_batcher=replace(batcher, views=batcher.views[:1]),
        notes=_unknown_styles(tasks, batcher.controls),
    )


def _unknown_styles(tasks: Sequence[TaskExamples], controls: Controls) -> tuple[str, ...]:
    """Say which styles of own conversations never become a polarity, since none is known."""
    if not controls.config.category_frac:
        return ()
    styles = {e.style for task in tasks if is_own(task.config.name) for e in task.train if e.style}
    unknown = sorted(styles - {POSITIVE, NEGATIVE, *controls.polarities})
    if not unknown:
        return ()
    more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
    return (
        f"styles stay as they are where no file says whether they are positive: "
        f"{', '.join(unknown[:3])}{more}",
    )
