"""Llama-like networks of Hugging Face's: the names of their weights, and ``config.json``.

Covers ``llama`` (Llama 3, SmolLM2), ``qwen2`` (Qwen2.5) and ``qwen3``, where they have a byte-level
BPE in ``tokenizer.json``.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from openmmb.checkpoint import Precision
from openmmb.config import parse
from openmmb.convert.adopt import adopt, image_shape
from openmmb.convert.causal import (
    adopt_vocabulary,
    make_settings,
    special_tokens,
    text_shapes,
    write_causal,
)
from openmmb.convert.names import share_table, unwrap
from openmmb.convert.objects import check_kinds, name_of, read_object
from openmmb.convert.write import Converted
from openmmb.errors import CheckpointError, ConfigError
from openmmb.files import read_text
from openmmb.model.causal_config import CausalConfig
from openmmb.tensors import Weight
from openmmb.text.tokenizer import Tokenizer

KINDS: Final = ("llama", "qwen2", "qwen3")
"""Values of ``model_type`` that can be converted."""
OUTSIDE: Final = {
    "embeddings": "model.embed_tokens",
    "norm": "model.norm",
    "head": "lm_head",
}
"""Parts outside the layers, here -> there."""
LAYER: Final = {
    "attention_norm": ("input_layernorm",),
    "attention.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.out": ("self_attn.o_proj",),
    "attention.q_norm": ("self_attn.q_norm",),
    "attention.k_norm": ("self_attn.k_norm",),
    "ffn_norm": ("post_attention_layernorm",),
    "ffn.widen": ("mlp.gate_proj", "mlp.up_proj"),
    "ffn.narrow": ("mlp.down_proj",),
}
"""Parts of a layer here -> there, put together in this order."""
SIZES: Final = {
    "vocab_size": "vocab_size",
    "hidden_size": "embed_dim",
    "intermediate_size": "ffn_dim",
    "num_attention_heads": "num_heads",
    "num_hidden_layers": "num_layers",
    "max_position_embeddings": "num_positions",
    "rms_norm_eps": "norm_eps",
}
"""Keys of ``config.json`` that must be there, and ours."""
SCALING: Final = {
    "factor": "factor",
    "low_freq_factor": "low_freq_factor",
    "high_freq_factor": "high_freq_factor",
    "original_max_position_embeddings": "original_positions",
}
"""Keys of Llama 3's scaling of rotary positions, and ours."""
REFUSED: Final = {
    "hidden_act": "silu",
    "mlp_bias": False,
    "use_sliding_window": False,
    "pretraining_tp": 1,
    "partial_rotary_factor": 1.0,
}
"""What would make another network of it, and the one value that is none."""


COPY: Final = "lm_head.weight"
"""The table of words once more, where input and output are tied."""


def convert_llama(
    source: Path,
    data: Mapping[str, Any],
    weights: Mapping[str, Weight],
    out: Path,
    *,
    precision: Precision | None,
    encoder: str,
) -> Converted:
    """Write a folder of Hugging Face's as this project's checkpoint.

    Args:
        source: The folder.
        data: Its ``config.json``.
        weights: Its weights, open.
        out: The folder to write.
        precision: Precision of the weights; None keeps what is stored.
        encoder: The picture encoder that the model is prepared for.

    Raises:
        CheckpointError: A file is missing or damaged, or the weights are not those of the
            configuration.
    """
    vectors, features = image_shape(encoder)
    shape = read_shape(data, source / "config.json", image_vectors=vectors, image_dim=features)
    wanted = text_shapes(shape)
    weights = unwrap(weights, source)
    if shape.tied:
        weights = share_table(weights, f"{OUTSIDE['embeddings']}.weight", (COPY,))
    spare = [name for name in weights if name.endswith("rotary_emb.inv_freq")]
    if shape.tied and COPY in weights:
        _check_copy(weights, source)
        spare.append(COPY)
    adopted = adopt(
        weights,
        wanted,
        {name: sources(name) for name in wanted},
        source,
        precision=precision,
        spare=spare,
    )
    config = make_settings(name_of(source), encoder, shape)
    return write_causal(out, config, read_vocabulary(source, data), adopted, source=source)


def read_vocabulary(source: Path, data: Mapping[str, Any]) -> Tokenizer:
    """Read the vocabulary of a folder.

    Raises:
        CheckpointError: It is missing, damaged, no byte-level BPE, or names no end token.
    """
    path = source / "tokenizer.json"
    text = read_text(path, error=CheckpointError)
    specials = special_tokens(text, source=str(path))
    settings = source / "tokenizer_config.json"
    named = read_object(settings) if settings.is_file() else {}
    by_id = dict(specials)
    ids = {key: _first(data.get(key)) for key in ("eos_token_id", "pad_token_id")}
    check_kinds(ids, source / "config.json", {"a number": ids})
    end = _token(named.get("eos_token")) or by_id.get(ids["eos_token_id"])
    if end is None or end not in by_id.values():
        raise CheckpointError(f"{source}: the end token is {end!r}; expected a special token")
    pad = _token(named.get("pad_token")) or by_id.get(ids["pad_token_id"])
    return adopt_vocabulary(text, [*by_id.values()], end=end, pad=pad, source=str(path))


def sources(name: str) -> tuple[str, ...]:
    """Return what the weight ``name`` of ``CausalLM`` is put together from, in order."""
    path, _, kind = name.rpartition(".")
    layer = re.fullmatch(r"layers\.(\d+)\.(.+)", path)
    if layer is None:
        return (f"{OUTSIDE[path]}.{kind}",)
    return tuple(f"model.layers.{layer[1]}.{module}.{kind}" for module in LAYER[layer[2]])


def read_shape(
    data: Mapping[str, Any], path: Path, *, image_vectors: int, image_dim: int
) -> CausalConfig:
    """Return the shape that a ``config.json`` describes.

    Args:
        data: Its content.
        path: The file, for messages.
        image_vectors: I, of the picture encoder that the network is prepared for.
        image_dim: F.

    Raises:
        CheckpointError: A key is missing, or has a value that this network cannot have.
    """
    kind = data.get("model_type")
    if kind not in KINDS:
        raise CheckpointError(f"{path}: model_type is {kind!r}; expected {', '.join(KINDS)}")
    for key, only in REFUSED.items():
        if data.get(key, only) != only:
            raise CheckpointError(f"{path}: {key} is {data[key]!r}; expected {only!r}")
    if kind != "qwen2" and data.get("attention_bias", False):
        raise CheckpointError(f"{path}: attention_bias is true; expected false for {kind}")
    for key in SIZES:
        if key not in data:
            raise CheckpointError(f"{path}: no {key}")
    base, scaling = _rotary(data, path)
    values = {ours: data[theirs] for theirs, ours in SIZES.items()} | {
        "num_kv_heads": _or(data.get("num_key_value_heads"), data["num_attention_heads"]),
        "head_dim": _or(data.get("head_dim"), _quotient(data, path)),
        "rotary_base": base,
        "qkv_bias": kind == "qwen2",
        "qk_norm": kind == "qwen3",
        "tied": data.get("tie_word_embeddings", False),
        "image_vectors": image_vectors,
        "image_dim": image_dim,
    }
    if scaling is not None:
        values["rotary_scaling"] = scaling
    try:
        return parse(CausalConfig, values, source=str(path))
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def _rotary(data: Mapping[str, Any], path: Path) -> tuple[Any, dict[str, Any] | None]:
    """Return base and scaling of the rotary positions, in the old spelling or the new one.

    ``transformers`` 5 writes both into ``rope_parameters``; before, ``rope_theta`` stood alone and
    ``rope_scaling`` beside it.
    """
    given = data.get("rope_parameters") or data.get("rope_scaling") or {}
    if not isinstance(given, dict):
        raise CheckpointError(f"{path}: rope_parameters is {given!r}; expected an object")
    base = given.get("rope_theta", data.get("rope_theta", 10_000.0))
    kind = given.get("rope_type", given.get("type", "default"))
    if kind == "default":
        return base, None
    if kind != "llama3":
        raise CheckpointError(
            f"{path}: rotary positions are scaled by {kind!r}; expected 'default' or 'llama3'"
        )
    for key in SCALING:
        if key not in given:
            raise CheckpointError(f"{path}: no {key} in the scaling of rotary positions")
    return base, {ours: given[theirs] for theirs, ours in SCALING.items()}


def _check_copy(weights: Mapping[str, Weight], source: Path) -> None:
    table = weights.get(f"{OUTSIDE['embeddings']}.weight")
    if table is not None and not table.read().equal(weights[COPY].read()):
        raise CheckpointError(
            f"{source}: {COPY} differs from the table of words, but config.json says that "
            "tie_word_embeddings is true"
        )


def _token(named: Any) -> str | None:
    """Return the text of a token as ``tokenizer_config.json`` names it."""
    content = named.get("content") if isinstance(named, dict) else named
    return content if isinstance(content, str) else None


def _first(ids: Any) -> Any:
    """Return the first of several ids, of which ``config.json`` may have a list."""
    return (ids[0] if ids else None) if isinstance(ids, list) else ids


def _quotient(data: Mapping[str, Any], path: Path) -> int:
    """Return the width of a head where nothing says it."""
    width, heads = data["hidden_size"], data["num_attention_heads"]
    if not (isinstance(width, int) and isinstance(heads, int) and heads > 0):
        raise CheckpointError(
            f"{path}: hidden_size is {width!r}, num_attention_heads {heads!r}; expected numbers"
        )
    return width // heads


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value
