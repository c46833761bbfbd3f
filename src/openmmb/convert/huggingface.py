"""Hugging Face's Blenderbots: ``facebook/blenderbot-400M-distill`` and its like, ``_small-90M``.

Llama-like networks are read here too, see ``convert.llama``.

``config.json``                          shape, and how replies were searched for
``pytorch_model.bin`` or ``model.safetensors``   weights, in one file or in several with an index
``vocab.json``, ``merges.txt``           the byte-level BPE; for 90M, words and pieces
``generation_config.json``, ``tokenizer_config.json``   optional

There is no picture in it, so it becomes what ``convert.parlai`` makes of a model of text alone, and
only such a model goes back. Hugging Face's networks are ParlAI's, ``prelayernorm`` and for 90M
``xlm``, with one more bias on the logits, which is zero in every published model.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openmmb.checkpoint import (
    CONFIG,
    DTYPES,
    TOKENIZER,
    WEIGHTS,
    CheckpointConfig,
    Precision,
)
from openmmb.config import load as load_config
from openmmb.convert import llama
from openmmb.convert.adopt import FRESH, adopt_network, in_precision, untrained_pictures
from openmmb.convert.blenderbot import KINDS, Kind, find_kind, read_settings, write_settings
from openmmb.convert.bpe import read_hf_vocabulary, unused_tokens, write_hf_vocabulary
from openmmb.convert.dictionary import read_hf_dictionary, write_hf_dictionary
from openmmb.convert.names import Naming, share_table, unwrap
from openmmb.convert.objects import check_kinds, read_object
from openmmb.convert.write import Converted, new_folder, write_checkpoint
from openmmb.errors import CheckpointError, ConfigError
from openmmb.hub import TRANSFORMERS, resolve
from openmmb.model.config import ModelConfig
from openmmb.model.layers import sinusoids
from openmmb.outputs import OutputKind
from openmmb.pickles import load_pickle
from openmmb.tensors import (
    Weight,
    open_safetensors,
    pickled_weights,
    write_safetensors,
)
from openmmb.text.tokenizer import Tokenizer, load_tokenizer

BIAS = "final_logits_bias"
SEGMENTS = "encoder.segments.weight"
FILES = ("model.safetensors", "pytorch_model.bin")
"""Weights; with ``.index.json`` after the name where they are in several files."""
PUBLISHED = replace(
    TRANSFORMERS,
    files=(*TRANSFORMERS.files, "generation_config.json"),
    instead=("pytorch_model*.bin", "pytorch_model.bin.index.json"),
)
"""What is read of a model on the hub; the older pickles only where there is nothing else."""
OUTPUT = OutputKind(
    "a checkpoint of Hugging Face's",
    ("config.json", "model.safetensors"),
    (
        "generation_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
        "merges.txt",
        "README.md",
    ),
)
"""What ``export`` writes."""


def convert(
    source: Path,
    out: Path,
    *,
    precision: Precision | None = None,
    encoder: str = "faster_rcnn_x152",
) -> Converted:
    """Write Hugging Face's checkpoint as this project's, replacing one that is there.

    Args:
        source: A folder as it is published.
        out: The folder to write.
        precision: Of the weights; None keeps what is stored.
        encoder: The picture encoder that the model is prepared for.

    Raises:
        CheckpointError: A file is missing or damaged, the model is of another kind, or its weights
            are not those of its configuration. A pickle that names code to run is refused.
    """
    _check_folder(source)
    data = read_object(source / "config.json")
    check_kinds(data, source / "config.json", {"text": ("model_type",)})
    if data.get("model_type") in llama.KINDS:
        with _open_weights(source) as weights:
            return llama.convert_llama(
                source, data, weights, out, precision=precision, encoder=encoder
            )
    kind = find_kind(data, source)
    read_vocabulary = read_hf_dictionary if kind.has_pieces else read_hf_vocabulary
    with _open_weights(source) as published:
        weights = unwrap(published, source)
        weights = share_table(weights, kind.naming.embeddings, kind.naming.copies)
        notes = _renamed(published, weights)
        _check_bias(weights.pop(BIAS, None), source)
        config = read_settings(kind, data, source, encoder, learned=_are_learned(weights))
        tokenizer = read_vocabulary(source, size=config.model.vocab_size)
        adopted = adopt_network(
            weights, kind.naming, config.seq2seq, source, precision=precision, fresh=True
        )
        write_checkpoint(out, config, tokenizer, adopted)
    lost = unused_tokens(source, size=config.model.vocab_size)
    return Converted(folder=out, config=config, notes=(untrained_pictures(encoder), *notes, *lost))


def fetch(name: str) -> Path:
    """Return the folder of a published model: one that is here, or ``org/name`` of the hub.

    Raises:
        CheckpointError: It is not here, and the hub does not have it or cannot be reached.
    """
    try:
        return resolve(name, PUBLISHED)
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}; or fetch it where there is a network, hf download {name} --local-dir DIR, "
            "and convert DIR"
        ) from error


def export(checkpoint: Path, out: Path, *, precision: Precision | None = None) -> None:
    """Write a checkpoint of this project as Hugging Face's, replacing one that is there.

    Args:
        checkpoint: Its folder; the model must never have been trained on pictures.
        out: The folder to write.
        precision: Of the weights; None keeps what is stored.

    Raises:
        CheckpointError: A file is missing or damaged, or the model is not one that a Blenderbot of
            Hugging Face's can be.
    """
    try:
        config = load_config(CheckpointConfig, checkpoint / CONFIG)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
    tokenizer = load_tokenizer(checkpoint / TOKENIZER)
    kind = _kind_of(tokenizer)
    write_vocabulary = write_hf_dictionary if kind.has_pieces else write_hf_vocabulary
    with open_safetensors(checkpoint / WEIGHTS) as weights:
        _check_exportable(kind, config, weights, checkpoint)
        with new_folder(out, OUTPUT) as partial:
            write_vocabulary(tokenizer, partial)
            split = _split(weights, kind.naming, config.seq2seq, checkpoint / WEIGHTS, precision)
            write_safetensors(partial / FILES[0], split)
            stored = DTYPES[precision] if precision else weights["embeddings.weight"].dtype
            write_settings(kind, config, partial, stored)


def _check_folder(source: Path) -> None:
    if (source / "adapter_config.json").is_file() and not (source / "config.json").is_file():
        raise CheckpointError(
            f"{source}: holds adapters of PEFT without their base; merge them first "
            "(merge_and_unload) and save the whole"
        )


def _renamed(published: Mapping[str, Weight], weights: Mapping[str, Weight]) -> tuple[str, ...]:
    """Say what names were read as others."""
    odd = [name for name in published if name not in weights]
    if not odd:
        return ()
    return (f"names: {len(odd)} weights are named otherwise than published, as {odd[0]}; read so",)


def _kind_of(tokenizer: Tokenizer) -> Kind:
    return next(kind for kind in KINDS.values() if kind.has_pieces == tokenizer.has_pieces)


def _check_bias(bias: Weight | None, source: Path) -> None:
    if bias is not None and bias.read().any():
        raise CheckpointError(f"{source}: {BIAS} is not zero; expected zeros, as published")


@contextmanager
def _open_weights(source: Path) -> Iterator[dict[str, Weight]]:
    """Open the weights, in whatever files they are.

    Raises:
        CheckpointError: There are none, or a file of an index is missing or damaged.
    """
    with ExitStack() as stack:
        weights: dict[str, Weight] = {}
        for path in _weight_files(source):
            if path.suffix == ".safetensors":
                weights |= stack.enter_context(open_safetensors(path))
            else:
                weights |= pickled_weights(load_pickle(path, mapped=True), path)
        yield weights


def _weight_files(source: Path) -> list[Path]:
    for name in FILES:
        index = source / f"{name}.index.json"
        if index.is_file():
            named = read_object(index).get("weight_map")
            if not isinstance(named, dict) or not named:
                raise CheckpointError(f"{index}: no weight_map; expected one that names the files")
            return [_shard(source, name, index) for name in sorted({*map(str, named.values())})]
        if (source / name).is_file():
            return [source / name]
    raise CheckpointError(f"{source}: no weights; expected {' or '.join(FILES)}")


def _shard(source: Path, name: str, index: Path) -> Path:
    path = source / name
    if Path(name).name != name or not path.is_file():
        raise CheckpointError(f"{index}: names {name!r}; expected a file beside it")
    return path


def _are_learned(weights: Mapping[str, Weight]) -> bool:
    """Whether the positions are trained ones; those of the published models are sinusoids."""
    table = weights.get("model.encoder.embed_positions.weight")
    if table is None or len(table.shape) != 2:
        return True
    return not table.read().float().allclose(sinusoids(*table.shape), atol=1e-3)


def _check_exportable(
    kind: Kind, config: CheckpointConfig, weights: Mapping[str, Weight], checkpoint: Path
) -> None:
    model = config.seq2seq
    for name, only in (("variant", kind.variant), ("output_scaling", 1.0), ("fusion", "early")):
        if getattr(model, name) != only:
            raise CheckpointError(
                f"{checkpoint / CONFIG}: model.{name} is {getattr(model, name)!r}; expected "
                f"{only!r}, as Hugging Face's {kind.name} has it"
            )
    segments = weights.get(SEGMENTS)
    if segments is None or segments.read().any():
        raise CheckpointError(
            f"{checkpoint / WEIGHTS}: {SEGMENTS} is not zero, so this model was trained on "
            f"pictures; expected one that was not, since Hugging Face's {kind.name} sees none"
        )


def _split(
    weights: Mapping[str, Weight],
    naming: Naming,
    model: ModelConfig,
    path: Path,
    precision: Precision | None,
) -> dict[str, Weight]:
    """Return the weights under their names; queries, keys and values apart again."""
    split: dict[str, Weight] = {}
    for name, weight in weights.items():
        if name.startswith(FRESH):
            continue
        sources = naming.sources(name)
        rows = weight.shape[0] // len(sources)
        for number, source in enumerate(sources):
            piece = Weight(
                (rows, *weight.shape[1:]), weight.dtype, _rows(weight, number * rows, rows)
            )
            split[source] = in_precision(source, piece, precision, path)
    table = split[naming.embeddings]
    zeros = Weight((1, model.vocab_size), table.dtype, _zeros(model.vocab_size, table.dtype))
    return {**split, BIAS: zeros}


def _rows(weight: Weight, start: int, count: int) -> Any:
    def read() -> Tensor:
        return weight.read()[start : start + count]

    return read


def _zeros(count: int, dtype: torch.dtype) -> Any:
    def read() -> Tensor:
        return torch.zeros(1, count, dtype=dtype)

    return read
