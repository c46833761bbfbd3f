"""ParlAI's ``transformer/classifier``: its dialogue safety models.

``model``               weights, a pickle of PyTorch
``model.opt``           options, JSON
``model.dict``          tokens, one a line
``model.dict.codecs``   merges of ``subword-nmt``
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openmmb.checkpoint import CONFIG, TOKENIZER, WEIGHTS, Precision
from openmmb.config import dump, parse
from openmmb.convert.adopt import adopt, shapes_of, table_shape
from openmmb.convert.names import PARLAI
from openmmb.convert.subwords import Subwords, read_subwords
from openmmb.convert.write import new_folder
from openmmb.errors import CheckpointError, ConfigError, shorten
from openmmb.model.classifier import Classifier, ClassifierShape
from openmmb.safety.trained import ClassifierConfig
from openmmb.tensors import Weight, write_safetensors

AGENT = "transformer/classifier"
UNSAFE = "__notok__"
"""What its safety models call a text that is not to be said."""
PREFIX, HEAD = "transformer", "additional_linear_layer"
EMBEDDINGS = "embeddings.weight"
SPECIALS = {"null": "__null__", "start": "__start__", "end": "__end__", "unk": "__unk__"}
"""Tokens where the options do not say."""
REQUIRED: dict[str, Any] = {"dict_tokenizer": "bpe", "dict_lower": True}
"""Options that can be converted only with this value."""
SHAPE = {
    "embedding_size": "embed_dim",
    "ffn_size": "ffn_dim",
    "n_heads": "num_heads",
    "learn_positional_embeddings": "learned_positions",
    "embeddings_scale": "scale_embeddings",
    "n_segments": "num_segments",
    "variant": "variant",
    "activation": "activation",
    "output_scaling": "output_scaling",
    "reduction_type": "pooling",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "relu_dropout": "activation_dropout",
}
"""Its options and our settings."""
DEFAULTS: dict[str, Any] = {
    "learn_positional_embeddings": False,
    "embeddings_scale": True,
    "n_segments": 0,
    "variant": "aiayn",
    "activation": "relu",
    "output_scaling": 1.0,
    "reduction_type": "mean",
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "relu_dropout": 0.0,
}
"""What missing options mean to ParlAI when it loads an old model."""


@dataclass(frozen=True)
class ConvertedClassifier:
    """What a conversion made.

    Attributes:
        folder: The classifier.
        config: Its settings.
        notes: What a person should know.
    """

    folder: Path
    config: ClassifierConfig
    notes: tuple[str, ...] = ()


def convert_classifier(
    path: Path,
    options: Mapping[str, Any],
    weights: Mapping[str, Weight],
    out: Path,
    *,
    precision: Precision | None = None,
) -> ConvertedClassifier:
    """Write ParlAI's classifier as this project's, replacing one that is there.

    Args:
        path: The file of its weights; the others stand beside it.
        options: What is in ``model.opt``.
        weights: What is in ``model``.
        out: The folder to write.
        precision: Of the weights; None keeps what is stored.

    Raises:
        CheckpointError: A file is missing or damaged, the model is of another kind, or its weights
            are not those of its options.
    """
    source = Path(f"{path}.opt")
    _check(options, source)
    names = {key: options.get(f"dict_{key}token") or name for key, name in SPECIALS.items()}
    words = read_subwords(
        Path(f"{path}.dict"),
        null=names["null"],
        start=names["start"],
        end=names["end"],
        unknown=names["unk"],
    )
    config = _config(path, options, weights, words)
    with new_folder(out) as partial_folder:
        adopted = _adopt(weights, config.shape, words, path, precision)
        write_safetensors(partial_folder / WEIGHTS, adopted)
        (partial_folder / CONFIG).write_text(dump(config), encoding="utf-8")
        words.tokenizer.save(partial_folder / TOKENIZER)
    return ConvertedClassifier(folder=out, config=config)


def _check(options: Mapping[str, Any], source: Path) -> None:
    for key, expected in REQUIRED.items():
        value = options.get(key, expected)
        if value != expected:
            raise CheckpointError(
                f"{source}: {key} is {shorten(repr(value))}; expected {expected!r}"
            )
    classes = options.get("classes") or []
    if UNSAFE not in classes:
        raise CheckpointError(
            f"{source}: classes are {shorten(', '.join(map(str, classes))) or 'missing'}; expected "
            f"one of them to be {UNSAFE!r}"
        )


def _config(
    path: Path, options: Mapping[str, Any], weights: Mapping[str, Weight], words: Subwords
) -> ClassifierConfig:
    source = Path(f"{path}.opt")
    values = {**DEFAULTS, **{key: value for key, value in options.items() if value is not None}}
    for key in ("embedding_size", "ffn_size", "n_heads", "n_layers", "text_truncate"):
        if key not in values:
            raise CheckpointError(f"{source}: {key} is missing")
    layers = values.get("n_encoder_layers", -1)
    limit = values["text_truncate"] if values["text_truncate"] > 0 else values.get("truncate", -1)
    positions, _ = table_shape(weights, f"{PREFIX}.position_embeddings.weight", path)
    shape = {ours: values[theirs] for theirs, ours in SHAPE.items()} | {
        "num_labels": len(values["classes"]),
        "vocab_size": len(words.rows),
        "num_layers": values["n_layers"] if layers == -1 else layers,
        "num_positions": positions,
    }
    data = {
        "name": path.resolve().parent.name if path.name == "model" else path.name,
        "labels": values["classes"],
        "unsafe": [UNSAFE],
        "threshold": _threshold(values),
        "shape": shape,
        "read": {
            "layout": "parlai",
            "max_tokens": positions if limit == -1 else limit,
            "max_context": 1,
            "context_turns": 0,
        },
    }
    try:
        return parse(ClassifierConfig, data, source=str(source))
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def _threshold(values: Mapping[str, Any]) -> Any:
    """Return how likely a text must be unsafe; ParlAI compares its reference class, the first."""
    threshold = values.get("threshold", 0.5)
    reference = values.get("ref_class") or values["classes"][0]
    return threshold if reference == UNSAFE else 1 - threshold


def _adopt(
    published: Mapping[str, Weight],
    shape: ClassifierShape,
    words: Subwords,
    path: Path,
    precision: Precision | None,
) -> dict[str, Weight]:
    """Return every weight of the network, to be read one by one."""
    wanted = shapes_of(Classifier, shape)
    sources = {name: _sources(name) for name in wanted}
    table = f"{PREFIX}.{EMBEDDINGS}"
    arranged = dict(published)
    if table in published:
        expected = (max(words.rows) + 1, shape.embed_dim)  # the dictionary's tokens
        if published[table].shape != expected:
            raise CheckpointError(
                f"{path}: {table} is {published[table].shape}, expected {expected}"
            )
        read = partial(_rows, published[table], torch.tensor(words.rows))
        arranged[table] = replace(published[table], shape=wanted[EMBEDDINGS], read=read)
    return adopt(arranged, wanted, sources, path, precision=precision)


def _rows(table: Weight, rows: Tensor) -> Tensor:
    return table.read()[rows]


def _sources(name: str) -> tuple[str, ...]:
    """Return what a weight of this project is put together from."""
    if name.startswith("head."):
        return (f"{HEAD}{name.removeprefix('head')}",)
    if name == EMBEDDINGS:
        return (f"{PREFIX}.{EMBEDDINGS}",)
    return tuple(f"{PREFIX}{source.removeprefix('encoder')}" for source in PARLAI.sources(name))
