"""What a run needs before its first update: data, vocabulary, the network's shape."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openmmb.data.batcher import Batcher, ImageVectors
from openmmb.data.controls import Controls
from openmmb.data.loader import Loader
from openmmb.data.sampler import Sampler
from openmmb.errors import ConfigError, DataError
from openmmb.model.config import ModelConfig
from openmmb.tasks.mixture import TaskExamples, read_task
from openmmb.tasks.polarities import read_polarities
from openmmb.training.replies.config import Recipe
from openmmb.training.replies.start import Start, find_start
from openmmb.vision.features.vectors import Features


@dataclass(frozen=True)
class Prepared:
    """Everything that a run works with but its network, which ``build_network`` builds.

    Attributes:
        start: Vocabulary and settings, untrained or from ``recipe.start``.
        tasks: The data sets, read.
        loader: Their training batches.
        valid_batcher: Makes batches of their validation examples, with pictures unmirrored.
    """

    start: Start
    tasks: tuple[TaskExamples, ...]
    loader: Loader
    valid_batcher: Batcher


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
    styled = any(example.style is not None for task in tasks for example in task.train)
    batcher = Batcher(
        tokenizer=start.tokenizer,
        config=recipe.encode,
        controls=Controls(
            config=recipe.controls,
            polarities=read_polarities(root) if styled else {},
            seed=recipe.seed,
        ),
        views=_views(recipe, tasks, model),
        image_shape=(model.image_vectors, model.image_dim),
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
    )


def _views(
    recipe: Recipe, tasks: Sequence[TaskExamples], model: ModelConfig
) -> tuple[ImageVectors, ...]:
    """Open the image vectors and see that every picture has them."""
    needed = {
        example.image_id
        for task in tasks
        for example in (*task.train, *task.valid)
        if example.image_id is not None
    }
    if not needed:
        return ()
    if recipe.data.features is None:
        raise ConfigError(
            "data.features: missing; these tasks have pictures, so name the folder that "
            "'openmmb features' wrote"
        )
    views = [_view("features", recipe.data.features, needed, recipe, model)]
    if recipe.data.mirrored_features is not None:
        mirrored = recipe.data.mirrored_features
        views.append(_view("mirrored_features", mirrored, needed, recipe, model))
    return tuple(views)


def _view(
    key: str, folder: str, needed: set[str], recipe: Recipe, model: ModelConfig
) -> ImageVectors:
    features = Features(Path(folder))
    encoder, shape = features.manifest.encoder, (model.image_vectors, model.image_dim)
    if encoder != recipe.data.encoder:
        raise ConfigError(
            f"data.{key}: {folder} is of encoder {encoder!r}, but data.encoder is "
            f"{recipe.data.encoder!r}"
        )
    if features.image_shape != shape:
        raise ConfigError(
            f"data.{key}: {folder} has image vectors of {features.image_shape}, but "
            f"model.image_vectors and model.image_dim are {shape}"
        )
    if features.manifest.flip != (key == "mirrored_features"):
        what = "mirrored" if features.manifest.flip else "not mirrored"
        raise ConfigError(f"data.{key}: the pictures of {folder} are {what}")
    missing = sorted(image_id for image_id in needed if image_id not in features)
    if missing:
        raise DataError(
            f"{folder}: no image vectors for {len(missing)} of {len(needed)} pictures, "
            f"first {missing[0]}; run 'openmmb features' on them"
        )
    return features.__getitem__
