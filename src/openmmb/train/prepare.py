"""What a run needs before its first update: data, vocabulary, network."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from openmmb.checkpoint import Checkpoint, CheckpointConfig, find_checkpoint, load_checkpoint
from openmmb.data.controls import Controls
from openmmb.data.loader import Encoder, ImageVectors, Loader, lengths_of
from openmmb.data.mixture import Mixture
from openmmb.errors import ConfigError, DataError
from openmmb.model.config import ModelConfig
from openmmb.model.seq2seq import Seq2Seq
from openmmb.tasks.polarities import read_polarities
from openmmb.text.tokenizer import CONTROLS, Tokenizer
from openmmb.train.config import Recipe
from openmmb.train.examples import TaskExamples, read_task
from openmmb.train.vocabulary import learn_vocabulary
from openmmb.vision.features import Features

DROPOUTS = ("dropout", "attention_dropout", "activation_dropout")
"""What a recipe that starts from a checkpoint may say about its network."""


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
        DataError: Data is missing or malformed, or there is nothing to validate on.
        CheckpointError: ``recipe.start`` is not a checkpoint.
    """
    root = Path(recipe.data.root)
    tasks = tuple(read_task(task, root) for task in recipe.tasks)
    if not any(task.valid for task in tasks):
        raise DataError("no task has examples to validate on; give one a larger 'holdout'")
    checkpoint = _start_from(recipe, recipe.start) if recipe.start else _start_anew(recipe, tasks)
    model = checkpoint.config.model
    styled = any(example.style is not None for task in tasks for example in task.train)
    encoder = Encoder(
        tokenizer=checkpoint.tokenizer,
        config=recipe.encode,
        controls=Controls(
            config=recipe.controls,
            polarities=read_polarities(root) if styled else {},
            seed=recipe.seed,
        ),
        views=_views(recipe, tasks, model),
        image_shape=(model.image_vectors, model.image_dim),
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
        valid_encoder=replace(encoder, views=encoder.views[:1]),
    )


def _start_from(recipe: Recipe, start: str) -> Checkpoint:
    """Load the checkpoint ``start`` and give it this recipe's dropout and other settings."""
    loaded = load_checkpoint(find_checkpoint(start))
    if loaded.config.encoder != recipe.data.encoder:
        raise ConfigError(
            f"data.encoder: {recipe.data.encoder!r}, but {start} knows the image vectors of "
            f"{loaded.config.encoder!r}"
        )
    _check_network(recipe.model, loaded.config.model, start)
    shape = replace(loaded.config.model, **{name: getattr(recipe.model, name) for name in DROPOUTS})
    config = _checkpoint_config(recipe, shape)
    with torch.device("meta"):
        model = Seq2Seq(shape)
    model.load_state_dict(loaded.model.state_dict(), assign=True)
    if recipe.fresh_controls:
        _draw_controls_anew(model, loaded.tokenizer, recipe.seed)
    return Checkpoint(config=config, model=model, tokenizer=loaded.tokenizer)


def _draw_controls_anew(model: Seq2Seq, tokenizer: Tokenizer, seed: int) -> None:
    """Give the control tokens the vectors that an untrained network has."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name in CONTROLS:
            vector = model.embeddings.weight[tokenizer.special_id(name)]
            torch.nn.init.normal_(vector, std=len(vector) ** -0.5)


def _check_network(asked: ModelConfig, loaded: ModelConfig, start: str) -> None:
    """See that the recipe does not ask for another network than it starts from."""
    usual = ModelConfig()
    for field in dataclasses.fields(ModelConfig):
        value, there = getattr(asked, field.name), getattr(loaded, field.name)
        if field.name not in (*DROPOUTS, "vocab_size") and value not in (
            there,
            getattr(usual, field.name),
        ):
            raise ConfigError(
                f"model.{field.name}: {value!r}, but {start} has {there!r}, which is taken; "
                "leave it out"
            )


def _start_anew(recipe: Recipe, tasks: Sequence[TaskExamples]) -> Checkpoint:
    """Learn a vocabulary, once a run, and draw random weights."""
    _checkpoint_config(recipe, recipe.model)  # what does not fit is better known before
    tokenizer = learn_vocabulary(recipe, tasks)
    config = _checkpoint_config(recipe, replace(recipe.model, vocab_size=tokenizer.vocab_size))
    torch.manual_seed(recipe.seed)
    return Checkpoint(config=config, model=Seq2Seq(config.model), tokenizer=tokenizer)


def _checkpoint_config(recipe: Recipe, model: ModelConfig) -> CheckpointConfig:
    try:
        return CheckpointConfig(
            name=recipe.name,
            encoder=recipe.data.encoder,
            model=model,
            encode=recipe.encode,
            search=recipe.search,
            gender=recipe.gender,
            image_style=recipe.image_style,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error


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
