"""Llama-like networks in GGUF files: their shape, and their weights under this project's names."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from openmmb.config import parse
from openmmb.errors import CheckpointError, ConfigError
from openmmb.model.causal_config import CausalConfig, RotaryScaling
from openmmb.model.causal_layers import frequencies
from openmmb.pretrained.gguf_file import GgufFile

ARCHITECTURES: Final = ("llama", "qwen2", "qwen3")
"""Values of ``general.architecture`` that can be read."""
OUTSIDE: Final = {"embeddings": "token_embd", "norm": "output_norm", "head": "output"}
"""Modules outside the layers, here -> there."""
LAYER: Final = {
    "attention_norm": ("attn_norm",),
    "attention.qkv": ("attn_q", "attn_k", "attn_v"),
    "attention.out": ("attn_output",),
    "attention.q_norm": ("attn_q_norm",),
    "attention.k_norm": ("attn_k_norm",),
    "ffn_norm": ("ffn_norm",),
    "ffn.widen": ("ffn_gate", "ffn_up"),
    "ffn.narrow": ("ffn_down",),
}
"""Modules of a layer here -> there; several are stacked in this order."""
ROTARY: Final = "rope_freqs.weight"
"""What the rotary positions' frequencies are divided by, where Llama 3's scaling is used."""


def sources(name: str) -> tuple[str, ...]:
    """Return what the weight ``name`` of a decoder-only network is put together from, in order."""
    path, _, kind = name.rpartition(".")
    layer = re.fullmatch(r"layers\.(\d+)\.(.+)", path)
    if layer is None:
        return (f"{OUTSIDE[path]}.{kind}",)
    return tuple(f"blk.{layer[1]}.{module}.{kind}" for module in LAYER[layer[2]])


def read_gguf_shape(file: GgufFile, *, image_vectors: int, image_dim: int) -> CausalConfig:
    """Return the shape of the network in a file.

    Args:
        file: Open.
        image_vectors: I, of the picture encoder that the network is prepared for.
        image_dim: F.

    Raises:
        CheckpointError: A field is missing, or has a value that this network cannot have.
    """
    kind = file.field("general.architecture", str)
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise CheckpointError(f"{file.path}: general.architecture is {kind!r}; expected {known}")
    width = file.field(f"{kind}.embedding_length", int)
    heads = file.field(f"{kind}.attention.head_count", int)
    table = file.tensors.get("token_embd.weight")
    if table is None:
        raise CheckpointError(f"{file.path}: no tensor token_embd.weight")
    if heads < 1:
        raise CheckpointError(
            f"{file.path}: {kind}.attention.head_count is {heads}, expected 1 or more"
        )
    head_dim = file.field(f"{kind}.attention.key_length", int, width // heads)
    turned = file.field(f"{kind}.rope.dimension_count", int, head_dim)
    if turned != head_dim:
        raise CheckpointError(
            f"{file.path}: {kind}.rope.dimension_count is {turned}; expected {head_dim}, the "
            "width of a head"
        )
    values: dict[str, Any] = {
        "vocab_size": table.shape[0],
        "embed_dim": width,
        "ffn_dim": file.field(f"{kind}.feed_forward_length", int),
        "num_heads": heads,
        "num_kv_heads": file.field(f"{kind}.attention.head_count_kv", int, heads),
        "head_dim": head_dim,
        "num_layers": file.field(f"{kind}.block_count", int),
        "num_positions": file.field(f"{kind}.context_length", int),
        "rotary_base": file.field(f"{kind}.rope.freq_base", float, 10_000.0),
        "norm_eps": _rounded(file.field(f"{kind}.attention.layer_norm_rms_epsilon", float)),
        "qkv_bias": "blk.0.attn_q.bias" in file.tensors,
        "qk_norm": "blk.0.attn_q_norm.weight" in file.tensors,
        "tied": "output.weight" not in file.tensors,
        "image_vectors": image_vectors,
        "image_dim": image_dim,
    }
    try:
        shape = parse(CausalConfig, values, source=str(file.path))
        return parse(CausalConfig, values | _scaling(file, shape), source=str(file.path))
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def read_gguf_weights(
    file: GgufFile, config: CausalConfig, wanted: Mapping[str, torch.Size]
) -> dict[str, "partial[Tensor]"]:
    """Return what reads each of a network's weights, in float32.

    Args:
        file: Open; it must stay so until all are read.
        config: The network's shape.
        wanted: Names and shapes of the weights.

    Raises:
        CheckpointError: A tensor is missing, unknown, or of another shape.
    """
    left = file.tensors.keys() - {ROTARY}
    readers = {}
    for name, shape in wanted.items():
        names = sources(name)
        missing = [stored for stored in names if stored not in file.tensors]
        if missing:
            raise CheckpointError(f"{file.path}: no tensor {missing[0]}")
        shapes = [file.tensors[stored].shape for stored in names]
        rows = sum(size[0] for size in shapes)
        if (rows, *shape[1:]) != tuple(shape) or {size[1:] for size in shapes} != {shape[1:]}:
            raise CheckpointError(
                f"{file.path}: {', '.join(names)} are {', '.join(map(str, shapes))}; expected "
                f"{tuple(shape)} together"
            )
        left -= {*names}
        readers[name] = partial(_read, file, config, names)
    if left:
        raise CheckpointError(
            f"{file.path}: unknown tensor {min(left)}; expected {config.num_layers} layers"
        )
    return readers


def read_part(file: GgufFile, config: CausalConfig, name: str) -> Tensor:
    """Return a tensor of a file as the networks have it, in float32."""
    tensor = file.read(name)
    if file.fields["general.architecture"] == "llama" and re.search(r"\.attn_[qk]\.", name):
        return _unpermuted(tensor, config.head_dim)
    return tensor


def _read(file: GgufFile, config: CausalConfig, names: tuple[str, ...]) -> Tensor:
    tensors = [read_part(file, config, stored) for stored in names]
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def _unpermuted(weight: Tensor, head_dim: int) -> Tensor:
    """Put the rows of queries or keys back in order.

    llama.cpp turns neighbours, i and i + 1, where the networks turn i and i + E/2: for the
    architecture ``llama`` its files hold the rows in such an order that it comes to the same.
    """
    heads = weight.view(-1, head_dim // 2, 2, *weight.shape[1:])
    return heads.transpose(1, 2).reshape(weight.shape)


def _rounded(value: float) -> float:
    """Return the shortest number that is this one in 32 bits: 1e-05 where it says 9.99999975e-06.

    A file holds it in 32 bits, a config as people write it.
    """
    return float(f"{value:.6g}")


def _scaling(file: GgufFile, shape: CausalConfig) -> dict[str, Any]:
    """Return the scaling of rotary positions; the file has what comes of it, not its numbers."""
    kind = file.fields["general.architecture"]
    if file.fields.get(f"{kind}.rope.scaling.type", "none") != "none":
        raise CheckpointError(
            f"{file.path}: {kind}.rope.scaling.type is "
            f"{file.fields[f'{kind}.rope.scaling.type']!r}; expected 'none'"
        )
    if ROTARY not in file.tensors:
        return {}
    divisors = file.read(ROTARY)
    scaling = RotaryScaling(factor=max(1.0, float(divisors.max())))
    plain = frequencies(shape, divisors.device)
    stretched = frequencies(shape, divisors.device, scaling)
    if divisors.shape != plain.shape or not (plain / stretched).allclose(divisors, rtol=1e-3):
        raise CheckpointError(
            f"{file.path}: {ROTARY} is not Llama 3's scaling of rotary positions, the only one "
            "that can be read"
        )
    return {
        "rotary_scaling": {
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_positions": scaling.original_positions,
        }
    }
