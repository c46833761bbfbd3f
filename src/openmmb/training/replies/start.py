"""The network that a run starts with: its shape and vocabulary first, its weights when needed."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from openmmb.checkpoint import (
    CONFIG,
    DTYPES,
    TOKENIZER,
    CheckpointConfig,
    empty_network,
    load_checkpoint,
    new_network,
    open_checkpoint,
)
from openmmb.config import dump, load
from openmmb.data.controls import ControlsConfig
from openmmb.data.encode import EncodeConfig
from openmmb.distributed import is_main
from openmmb.errors import ConfigError
from openmmb.files import write_whole
from openmmb.model.config import ModelConfig
from openmmb.model.network import TrainableNetwork
from openmmb.model.shapes import Shape
from openmmb.search.config import SearchConfig
from openmmb.tasks.mixture import TaskExamples
from openmmb.text.tokenizer import CONTROLS, Tokenizer, load_tokenizer
from openmmb.training.replies.config import NONE, Recipe
from openmmb.training.replies.settle import DROPOUTS, ENCODER, describe_start, settle
from openmmb.training.replies.vocabulary import learn_vocabulary
from openmmb.training.run.run_folder import states
from openmmb.training.start import build_where_needed, find_given_start


@dataclass(frozen=True)
class Start:
    """What the checkpoints of a run are, but for their weights.

    Attributes:
        config: Their settings, among them the network's shape.
        tokenizer: Their vocabulary.
        controls: Those that examples get.
        notes: What people should know: what is kept of ``recipe.start``, and what is not.
    """

    config: CheckpointConfig
    tokenizer: Tokenizer
    controls: ControlsConfig
    notes: tuple[str, ...] = ()


def find_start(recipe: Recipe, tasks: Sequence[TaskExamples]) -> Start:
    """Learn a vocabulary, once a run, or take that of ``recipe.start`` with its shape.

    Raises:
        ConfigError: The recipe's parts do not fit each other.
        CheckpointError: ``recipe.start`` is not a checkpoint.
    """
    if recipe.start is not None:
        return _from_checkpoint(recipe, recipe.start)
    recipe = settle(recipe, None)
    shape = recipe.model or ModelConfig()
    # Refuses what does not fit before the vocabulary is learnt, which takes long.
    _checkpoint_config(recipe, shape)
    tokenizer = learn_vocabulary(recipe, tasks)
    config = _checkpoint_config(recipe, replace(shape, vocab_size=tokenizer.vocab_size))
    return Start(config, tokenizer, recipe.controls or ControlsConfig())


def build_network(
    recipe: Recipe, start: Start, prepare: Callable[[TrainableNetwork], None] = lambda _: None
) -> TrainableNetwork:
    """Build the network of a run, with weights only where they count.

    Args:
        recipe: The run's config.
        start: What ``find_start`` has found.
        prepare: Changes the weights that the run starts from.

    Raises:
        CheckpointError: ``recipe.start`` is damaged.
    """

    def fill() -> TrainableNetwork:
        model = _fill(recipe, start)
        prepare(model)
        return model

    return build_where_needed(Path(recipe.out), lambda: empty_network(start.config), fill)


def _fill(recipe: Recipe, start: Start) -> TrainableNetwork:
    """Build the network with the weights that the run starts from."""
    if recipe.start is None:
        torch.manual_seed(recipe.seed)
        drawn = new_network(start.config.model)
        drawn.initialise()
        return drawn
    model = empty_network(start.config)  # not the one that is loaded: its dropout may be another
    dtype = torch.float32 if start.config.adapter is None else DTYPES[recipe.frozen_precision]
    folder = find_given_start(recipe.start, recipe.start_command)
    loaded = load_checkpoint(folder, dtype=dtype, adapted=True).model
    model.load_state_dict(loaded.state_dict(), assign=True)
    if recipe.fresh_controls:
        _draw_controls_anew(model, start.tokenizer, recipe.seed)
    return model


def _from_checkpoint(recipe: Recipe, name: str) -> Start:
    """Take shape and vocabulary of the checkpoint ``name``, and what the recipe leaves out."""
    settings, tokenizer = _open_start(recipe, name)
    recipe = settle(recipe, settings)
    if settings.encoder != recipe.data.encoder:
        raise ConfigError(
            f"data.encoder: {recipe.data.encoder!r}, but {name} knows the image vectors of "
            f"{settings.encoder!r}; use that encoder's"
        )
    shape, asked = settings.model, recipe.model or ModelConfig()
    if isinstance(shape, ModelConfig):
        _check_network(asked, shape, name)
        shape = replace(shape, **{key: getattr(asked, key) for key in DROPOUTS})
    elif asked != ModelConfig():
        raise ConfigError(
            f"model: {name} is a decoder-only network, whose shape comes with it and has none of "
            "these keys; leave [model] out"
        )
    if settings.adapter is not None and recipe.fresh_controls:
        raise ConfigError(f"fresh_controls: expected a start without adapters, but {name} has them")
    config = _checkpoint_config(recipe, shape)
    config = replace(
        config,
        base=settings.base,
        adapter=settings.adapter,
        ban_gendered_words=settings.ban_gendered_words,
    )
    notes = describe_start(name, settings, config)
    return Start(config, tokenizer, recipe.controls or ControlsConfig(), notes)


def _open_start(recipe: Recipe, name: str) -> tuple[CheckpointConfig, Tokenizer]:
    """Return settings and vocabulary of the checkpoint ``name``.

    They are kept in the run's folder, so that a run that goes on, whose weights are in its state,
    no longer needs the checkpoint.
    """
    kept = Path(recipe.out) / "start"
    if states(Path(recipe.out)) and (kept / CONFIG).exists():
        return load(CheckpointConfig, kept / CONFIG), load_tokenizer(kept / TOKENIZER)
    opened = open_checkpoint(find_given_start(name, recipe.start_command))
    settings, tokenizer = opened.config, opened.tokenizer
    if is_main():
        kept.mkdir(parents=True, exist_ok=True)
        tokenizer.save(kept / TOKENIZER)
        write_whole(kept / CONFIG, dump(settings))
    return settings, tokenizer


def _draw_controls_anew(model: TrainableNetwork, tokenizer: Tokenizer, seed: int) -> None:
    """Give the control tokens the vectors that an untrained network has."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name in CONTROLS:
            vector = model.embeddings.weight[tokenizer.special_id(name)]
            torch.nn.init.normal_(vector, std=len(vector) ** -0.5)


def _check_network(asked: ModelConfig, loaded: ModelConfig, start: str) -> None:
    """Check that the recipe does not ask for another network than it starts from."""
    usual = ModelConfig()
    for field in dataclasses.fields(ModelConfig):
        value, there = getattr(asked, field.name), getattr(loaded, field.name)
        if field.name not in (*DROPOUTS, "vocab_size") and value not in (
            there,
            getattr(usual, field.name),
        ):
            raise ConfigError(
                f"model.{field.name}: {value!r}, but {start} has {there!r}, which the run uses; "
                "leave it out"
            )


def _checkpoint_config(recipe: Recipe, model: Shape) -> CheckpointConfig:
    try:
        return CheckpointConfig(
            name=recipe.name,
            encoder=recipe.data.encoder or ENCODER,
            model=model,
            encode=recipe.encode or EncodeConfig(),
            search=recipe.search or SearchConfig(),
            gender=None if recipe.gender == NONE else recipe.gender,
            image_style=None if recipe.image_style == NONE else recipe.image_style,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
