"""What a run needs before its first update: data, vocabulary, network."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from openmmb.checkpoint import Checkpoint, CheckpointConfig, load_checkpoint
from openmmb.data.controls import NEGATIVE, POSITIVE, Controls, picture_questions
from openmmb.data.loader import Encoder, ImageVectors, Loader, lengths_of
from openmmb.data.mixture import Mixture
from openmmb.errors import ConfigError, DataError
from openmmb.model.seq2seq import Seq2Seq
from openmmb.tasks.polarities import read_polarities
from openmmb.text.tokenizer import Tokenizer, load_tokenizer, train_tokenizer
from openmmb.train.config import Recipe
from openmmb.train.examples import TaskExamples, read_task
from openmmb.vision.features import Features


@dataclass(frozen=True)
class Prepared:
    """Everything that a run works with.

    Attributes:
        checkpoint: Network (untrained or from ``recipe.start``), vocabulary, settings.
        tasks: The data sets, read.
        loader: Their training batches.
        valid_encoder: Makes batches of their validation examples, with pictures unmirrored.
    """

    checkpoint: Checkpoint
    tasks: tuple[TaskExamples, ...]
    loader: Loader
    valid_encoder: Encoder


def prepare(recipe: Recipe) -> Prepared:
    """Read the data and build or load the network.

    Raises:
        ConfigError: The recipe's parts do not fit each other.
        DataError: Data is missing or malformed.
        CheckpointError: ``recipe.start`` is not a checkpoint.
    """
    root = Path(recipe.data.root)
    tasks = tuple(read_task(task, root) for task in recipe.tasks)
    checkpoint = _start_from(recipe) if recipe.start else _start_anew(recipe, tasks)
    views = _views(recipe, tasks)
    shape = (checkpoint.config.model.image_vectors, checkpoint.config.model.image_dim)
    styled = any(task.train[0].style is not None for task in tasks)
    controls = Controls(
        config=recipe.controls,
        polarities=read_polarities(root) if styled else {},
        seed=recipe.seed,
    )
    encoder = Encoder(
        tokenizer=checkpoint.tokenizer,
        config=recipe.encode,
        controls=controls,
        views=views,
        image_shape=shape,
    )
    mixture = Mixture(
        lengths=tuple(lengths_of(task.train) for task in tasks),
        weights=tuple(task.config.weight for task in tasks),
        batch_size=recipe.data.batch_size,
        seed=recipe.seed,
    )
    return Prepared(
        checkpoint=checkpoint,
        tasks=tasks,
        loader=Loader(tasks=tuple(t.train for t in tasks), mixture=mixture, encoder=encoder),
        valid_encoder=replace(encoder, views=views[:1]),
    )


def _start_from(recipe: Recipe) -> Checkpoint:
    """Load ``recipe.start`` and give it this recipe's other settings."""
    loaded = load_checkpoint(Path(recipe.start or ""))
    dropout = recipe.model.dropout
    model = loaded.model
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    config = _checkpoint_config(recipe, replace(loaded.config.model, dropout=dropout))
    return Checkpoint(config=config, model=model, tokenizer=loaded.tokenizer)


def _start_anew(recipe: Recipe, tasks: Sequence[TaskExamples]) -> Checkpoint:
    """Learn a vocabulary, once a run, and draw random weights."""
    saved = Path(recipe.out) / "tokenizer.json"
    if saved.exists():
        tokenizer = load_tokenizer(saved)
    else:
        tokenizer = _learn_vocabulary(recipe, tasks)
        tokenizer.save(saved)
    config = _checkpoint_config(recipe, replace(recipe.model, vocab_size=tokenizer.vocab_size))
    torch.manual_seed(recipe.seed)
    return Checkpoint(config=config, model=Seq2Seq(config.model), tokenizer=tokenizer)


def _checkpoint_config(recipe: Recipe, model: object) -> CheckpointConfig:
    return CheckpointConfig(
        name=recipe.name,
        encoder=recipe.data.encoder,
        model=model,  # type: ignore[arg-type]
        encode=recipe.encode,
        search=recipe.search,
        gender=recipe.gender,
        image_style=recipe.image_style,
    )


def _learn_vocabulary(recipe: Recipe, tasks: Sequence[TaskExamples]) -> Tokenizer:
    root = Path(recipe.data.root)
    more = tuple(read_task(task, root) for task in recipe.vocab_tasks)
    return train_tokenizer(_texts((*tasks, *more)), vocab_size=recipe.vocab_size)


def _texts(tasks: Sequence[TaskExamples]) -> Iterator[str]:
    """Yield every text once: replies, other captions, first turns, personas, styles."""
    yield from (POSITIVE, NEGATIVE, *picture_questions())
    for task in tasks:
        seen: set[str] = set()
        for example in task.train:
            yield from (example.reply, *example.references)
            yield from example.context[:1] if len(example.context) == 1 else ()
            once = {*example.persona, *([example.style] if example.style else [])} - seen
            yield from sorted(once)
            seen |= once


def _views(recipe: Recipe, tasks: Sequence[TaskExamples]) -> tuple[ImageVectors, ...]:
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
    views = []
    for folder in (recipe.data.features, recipe.data.mirrored_features):
        if folder is None:
            continue
        features = Features(Path(folder))
        missing = sorted(image_id for image_id in needed if image_id not in features)
        if missing:
            raise DataError(
                f"{folder}: no image vectors for {len(missing)} of {len(needed)} pictures, "
                f"first {missing[0]}; run 'openmmb features' on them"
            )
        views.append(features.__getitem__)
    return tuple(views)
