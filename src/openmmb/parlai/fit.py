"""What a ParlAI command says about a network must be true of the checkpoint that it names."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from openmmb.checkpoint import CONFIG, TOKENIZER, CheckpointConfig
from openmmb.config import load
from openmmb.errors import ConfigError
from openmmb.hub import find_here
from openmmb.parlai.arguments import Given
from openmmb.parlai.flag_table import FLAGS
from openmmb.parlai.train_flags import DROPOUTS, TrainCommand
from openmmb.text.tokenizer import load_tokenizer
from openmmb.vision.encoders import ALIASES

OF_SEVERAL = {
    "model.num_encoder_layers": "n-encoder-layers",
    "model.num_decoder_layers": "n-decoder-layers",
}
"""Settings that no flag decides alone, and the flag that says most about each."""


def read_start(folder: str) -> CheckpointConfig | None:
    """Return the settings of a checkpoint, None where there is none.

    Raises:
        ConfigError: Its settings are damaged.
    """
    path = find_here(folder) / CONFIG
    return load(CheckpointConfig, path) if path.is_file() else None


def check_shape(shape: Mapping[str, Any], config: CheckpointConfig, folder: str) -> None:
    """See that the flags of a command do not contradict the checkpoint ``folder``.

    Args:
        shape: What they say, by dotted keys of ``CheckpointConfig``.
        config: The checkpoint's settings.
        folder: For the message.

    Raises:
        ConfigError: They do; names the flag and both values.
        CheckpointError: They are about a network of another kind than the checkpoint's.
    """
    names = {flag.key: name for name, flag in FLAGS.items() if flag.key} | OF_SEVERAL
    for key, value in shape.items():
        table, _, name = key.partition(".")
        there = getattr(config.seq2seq if table == "model" else getattr(config, table), name)
        if value != there:
            raise ConfigError(
                f"--{names[key]} {value!r}: {folder} has {there!r}, which stays; leave the flag out"
            )


def check_tokenizer(given: Given, folder: str) -> None:
    """See that ``--dict-tokenizer`` says what the vocabulary of a checkpoint is, if it is here.

    Raises:
        ConfigError: It says another one.
        CheckpointError: The vocabulary is damaged.
    """
    path = find_here(folder) / TOKENIZER
    asked = given.get("dict-tokenizer")
    if asked is None or not path.is_file():
        return
    there = "bpe" if load_tokenizer(path).has_pieces else "bytelevelbpe"
    if asked != there:
        raise ConfigError(
            f"--dict-tokenizer {asked}: the vocabulary of {folder} is {there}, which stays; leave "
            "the flag out"
        )


def fit_to_start(command: TrainCommand, config: CheckpointConfig) -> TrainCommand:
    """Fill in what the flags leave to the checkpoint that the run starts from.

    Raises:
        ConfigError: A flag contradicts the checkpoint.
        CheckpointError: It is a decoder-only network, which no command of ParlAI's trains.
    """
    recipe = command.recipe
    folder, data = recipe["start"], recipe["data"]
    check_shape(command.shape, config, folder)
    own = ALIASES.get(config.encoder, config.encoder)
    if command.names_encoder and data["encoder"] != own:
        raise ConfigError(
            f"--image-mode {data['encoder']}: {folder} was trained on the image vectors of {own}; "
            "leave the flag out"
        )
    dropouts = {key.partition(".")[2]: recipe["model"][key.partition(".")[2]] for key in DROPOUTS}
    fitted = {
        **recipe,
        "model": asdict(config.seq2seq) | dropouts,
        "data": data | {"encoder": own},
    }
    return replace(command, recipe=fitted)
