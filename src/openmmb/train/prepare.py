"""What a run needs before its first update: data, vocabulary, network."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from openmmb.checkpoint import (
    CONFIG,
    TOKENIZER,
    Checkpoint,
    CheckpointConfig,
    find_checkpoint,
    load_checkpoint,
)
from openmmb.config import dump, load
from openmmb.data.controls import Controls
from openmmb.data.loader import Encoder, ImageVectors, Loader
from openmmb.data.mixture import Mixture
from openmmb.distributed import first_before_others, is_first
from openmmb.errors import ConfigError, DataError
from openmmb.model.config import ModelConfig
from openmmb.model.seq2seq import Seq2Seq
from openmmb.tasks.polarities import read_polarities
from openmmb.text.tokenizer import CONTROLS, Tokenizer, load_tokenizer
from openmmb.train.config import Recipe
from openmmb.train.examples import TaskExamples, read_task
from openmmb.train.folder import states, write_whole
from openmmb.train.vocabulary import learn_vocabulary
from openmmb.vision.features.vectors import Features

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
        examples=tuple(task.train for task in tasks),
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
    settings, tokenizer, weights = _open_start(recipe, start)
    if settings.encoder != recipe.data.encoder:
        raise ConfigError(
            f"data.encoder: {recipe.data.encoder!r}, but {start} knows the image vectors of "
            f"{settings.encoder!r}"
        )
    _check_network(recipe.model, settings.model, start)
    shape = replace(settings.model, **{name: getattr(recipe.model, name) for name in DROPOUTS})
    config = _checkpoint_config(recipe, shape)
    model = _unfilled(shape)
    if weights is not None:
        model.load_state_dict(weights, assign=True)
        if recipe.fresh_controls:
            _draw_controls_anew(model, tokenizer, recipe.seed)
    return Checkpoint(config=config, model=model, tokenizer=tokenizer)


def _open_start(
    recipe: Recipe, start: str
) -> tuple[CheckpointConfig, Tokenizer, dict[str, Tensor] | None]:
    """Return settings, vocabulary and weights of ``start``.

    The first two are kept in the run's folder, so a run that goes on, whose weights are in its
    state, needs ``start`` no more.
    """
    kept = Path(recipe.out) / "start"
    if states(Path(recipe.out)) and (kept / CONFIG).exists():
        settings = load(CheckpointConfig, kept / CONFIG)
        return settings, load_tokenizer(kept / TOKENIZER), None
    loaded = load_checkpoint(find_checkpoint(start))
    if is_first():
        kept.mkdir(parents=True, exist_ok=True)
        loaded.tokenizer.save(kept / TOKENIZER)
        write_whole(kept / CONFIG, dump(loaded.config))
    return loaded.config, loaded.tokenizer, loaded.model.state_dict()


def _unfilled(shape: ModelConfig) -> Seq2Seq:
    """Return a network whose weights are anything, to be filled."""
    with torch.device("meta"):
        model = Seq2Seq(shape)
    model.to_empty(device="cpu")
    return model


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
    """Learn a vocabulary, once a run, and draw random weights, if the run has none yet."""
    _checkpoint_config(recipe, recipe.model)  # what does not fit is better known before
    with first_before_others():
        tokenizer = learn_vocabulary(recipe, tasks)
    config = _checkpoint_config(recipe, replace(recipe.model, vocab_size=tokenizer.vocab_size))
    torch.manual_seed(recipe.seed)
    goes_on = bool(states(Path(recipe.out)))
    model = _unfilled(config.model) if goes_on else Seq2Seq(config.model)
    return Checkpoint(config=config, model=model, tokenizer=tokenizer)


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
