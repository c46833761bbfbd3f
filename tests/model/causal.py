"""Decoder-only networks of every shape, small, and inputs for them.

Sizes: B rows, S context tokens, I image vectors, F features in each, T reply tokens.
"""

from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from openmmb.model.causal import CausalLM
from openmmb.model.causal_config import CausalConfig, RotaryScaling

V: Final = 60
VECTORS: Final = 3
FEATURES: Final = 8
SMOL: Final = CausalConfig(
    vocab_size=V,
    embed_dim=24,
    ffn_dim=40,
    num_heads=6,
    num_kv_heads=2,
    head_dim=4,
    num_layers=3,
    num_positions=512,
    image_vectors=VECTORS,
    image_dim=FEATURES,
)
SHAPES: Final = {
    "smollm2": SMOL,
    "llama3": replace(
        SMOL,
        head_dim=16,
        rotary_base=500_000.0,
        tied=False,
        rotary_scaling=RotaryScaling(factor=4.0, original_positions=16),
    ),
    "qwen2.5": replace(SMOL, num_kv_heads=3, rotary_base=1e6, norm_eps=1e-6, qkv_bias=True),
    "qwen3": replace(SMOL, num_kv_heads=6, head_dim=8, norm_eps=1e-6, qk_norm=True, tied=False),
}
"""Each published family's peculiarities, in small."""


@dataclass(frozen=True)
class Inputs:
    """What a network is given; rows are ragged, some have a picture, one lacks a vector of it."""

    context: Tensor
    context_mask: Tensor
    image: Tensor
    has_image: Tensor
    reply: Tensor

    def read(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.context, self.context_mask, self.image, self.has_image


def inputs(*, rows: int = 3, context: int = 6, reply: int = 5, seed: int = 5) -> Inputs:
    source = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, context + 1, (rows, 1), generator=source)
    lengths[0] = context
    image = torch.randn(rows, VECTORS, FEATURES, generator=source)
    image[0, 1] = 0
    return Inputs(
        context=torch.randint(0, V, (rows, context), generator=source),
        context_mask=torch.arange(context) < lengths,
        image=image,
        has_image=torch.arange(rows) % 2 == 0,
        reply=torch.randint(0, V, (rows, reply), generator=source),
    )


def network(config: CausalConfig = SMOL, *, seed: int = 0) -> CausalLM:
    """Random weights, large enough that every part of the network shows in its logits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = CausalLM(config).eval()
        with torch.no_grad():
            for name, weight in made.named_parameters():
                centre = 1.0 if "norm" in name else 0.0
                weight.normal_(centre, 0.3)
    return made
