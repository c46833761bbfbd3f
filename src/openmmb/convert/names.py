"""What each weight of this project is called elsewhere.

One weight here is one or several there: queries, keys and values are one product here, so their
tensors are put together along the first dimension.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openmmb.errors import CheckpointError
from openmmb.tensors import Weight

Parts = Mapping[str, tuple[str, ...]]
"""Part of a layer here -> its parts there, put together in this order."""


@dataclass(frozen=True)
class Naming:
    """The names of another project.

    Attributes:
        embeddings: The table of words.
        copies: Where the same table may stand once more.
        ignored: What carries nothing that is learnt.
        prefix: Stands before ``encoder`` and ``decoder``.
        outside: Encoder's or decoder's part outside its layers, here -> there.
        encoder: Parts of an encoder layer.
        decoder: Parts of a decoder layer.
    """

    embeddings: str
    copies: tuple[str, ...]
    ignored: tuple[str, ...]
    prefix: str
    outside: Mapping[str, str]
    encoder: Parts
    decoder: Parts

    def sources(self, name: str) -> tuple[str, ...]:
        """Return what the weight ``name`` of this project is put together from."""
        if name == "embeddings.weight":
            return (self.embeddings,)
        side, path, kind = _split(name)
        start = f"{self.prefix}{side}"
        layer = re.fullmatch(r"layers\.(\d+)\.(.+)", path)
        if layer:
            modules = (self.encoder if side == "encoder" else self.decoder)[layer[2]]
            return tuple(f"{start}.layers.{layer[1]}.{module}.{kind}" for module in modules)
        for ours, theirs in self.outside.items():
            if path == ours or path.startswith(f"{ours}."):
                return (f"{start}.{theirs}{path.removeprefix(ours)}.{kind}",)
        raise KeyError(name)


WRAPPERS = ("module.", "_orig_mod.", "base_model.model.", "_fsdp_wrapped_module.")
"""What DistributedDataParallel, torch.compile, PEFT and FSDP put before names."""


def unwrap(weights: Mapping[str, Weight], path: Path) -> dict[str, Weight]:
    """Return weights by the names that they have in the published models.

    Args:
        weights: By the names in their file.
        path: The file or the folder, for messages.

    Raises:
        CheckpointError: Two weights come to have one name.
    """
    names = {name: _unwrapped(name) for name in weights}
    if not any(plain.startswith("model.") for plain in names.values()):  # it was saved without head
        for name, plain in names.items():
            names[name] = plain if plain in HEADS else f"model.{plain}"
    named: dict[str, Weight] = {}
    for name, plain in names.items():
        if plain in named:
            raise CheckpointError(f"{path}: {plain} is there twice, once as {name}; expected once")
        named[plain] = weights[name]
    return named


HEADS = ("lm_head.weight", "final_logits_bias")
"""Weights that stand outside ``model.``."""


def share_table(
    weights: Mapping[str, Weight], name: str, copies: Sequence[str]
) -> dict[str, Weight]:
    """Return weights in which the shared table has its first name; files keep any one of them."""
    known = next((copy for copy in copies if copy in weights), None)
    if name in weights or known is None:
        return dict(weights)
    return {name: weights[known], **weights}


def _unwrapped(name: str) -> str:
    plain = name
    for wrapper in WRAPPERS:
        plain = plain.replace(wrapper, "")
    while plain.startswith("model.model."):
        plain = plain.removeprefix("model.")
    head = plain.removeprefix("model.")
    return head if head in HEADS else plain


def _split(name: str) -> tuple[str, str, str]:
    """``encoder.layers.0.ffn.widen.weight`` -> encoder, layers.0.ffn.widen, weight."""
    side, _, rest = name.partition(".")
    path, _, kind = rest.rpartition(".")
    return side, path, kind


PARLAI = Naming(
    embeddings="embeddings.weight",
    copies=("encoder.embeddings.weight", "decoder.embeddings.weight"),
    ignored=("START", "encoder.dummy_image_enc", "encoder.ones_mask"),
    prefix="",
    outside={
        "positions": "position_embeddings",
        "segments": "segment_embeddings",
        "norm": "norm_embeddings",
        "image_projector.layers": "image_encoder",
    },
    encoder={
        "attention.qkv": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        "attention.out": ("attention.out_lin",),
        "attention_norm": ("norm1",),
        "ffn.widen": ("ffn.lin1",),
        "ffn.narrow": ("ffn.lin2",),
        "ffn_norm": ("norm2",),
    },
    decoder={
        "attention.qkv": ("self_attention.q_lin", "self_attention.k_lin", "self_attention.v_lin"),
        "attention.out": ("self_attention.out_lin",),
        "attention_norm": ("norm1",),
        "cross.q": ("encoder_attention.q_lin",),
        "cross.kv": ("encoder_attention.k_lin", "encoder_attention.v_lin"),
        "cross.out": ("encoder_attention.out_lin",),
        "cross_norm": ("norm2",),
        "ffn.widen": ("ffn.lin1",),
        "ffn.narrow": ("ffn.lin2",),
        "ffn_norm": ("norm3",),
    },
)
"""``image_seq2seq`` and ``transformer/generator``."""

HUGGING_FACE = Naming(
    embeddings="model.shared.weight",
    copies=(
        "model.encoder.embed_tokens.weight",
        "model.decoder.embed_tokens.weight",
        "lm_head.weight",
    ),
    ignored=(),
    prefix="model.",
    outside={"positions": "embed_positions", "norm": "layer_norm"},
    encoder={
        "attention.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "attention.out": ("self_attn.out_proj",),
        "attention_norm": ("self_attn_layer_norm",),
        "ffn.widen": ("fc1",),
        "ffn.narrow": ("fc2",),
        "ffn_norm": ("final_layer_norm",),
    },
    decoder={
        "attention.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "attention.out": ("self_attn.out_proj",),
        "attention_norm": ("self_attn_layer_norm",),
        "cross.q": ("encoder_attn.q_proj",),
        "cross.kv": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
        "cross.out": ("encoder_attn.out_proj",),
        "cross_norm": ("encoder_attn_layer_norm",),
        "ffn.widen": ("fc1",),
        "ffn.narrow": ("fc2",),
        "ffn_norm": ("final_layer_norm",),
    },
)
"""``BlenderbotForConditionalGeneration``."""

HUGGING_FACE_SMALL = replace(
    HUGGING_FACE, outside={"positions": "embed_positions", "norm": "layernorm_embedding"}
)
"""``BlenderbotSmallForConditionalGeneration``."""
