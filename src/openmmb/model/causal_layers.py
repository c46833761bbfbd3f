"""The layer of a decoder-only network: norm, rotary positions, grouped queries, gated feed-forward.

Sizes: B rows, L queries, M keys, D width, H heads of queries, J heads of keys and values,
G = H / J, E width of a head.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmmb.model.attention import attend
from openmmb.model.causal_config import CausalConfig, RotaryScaling
from openmmb.model.lean import rms_norm, rotate
from openmmb.model.linear import Embedding, Linear, LinearFactory


class Rotation(NamedTuple):
    """Rotary positions as the layers use them, each (B, L, 1, E)."""

    cos: Tensor
    sin: Tensor


class RMSNorm(nn.Module):
    """Divide by the root of the mean square, in float32 whatever comes in."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        if x.device.type != "cpu":
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return rms_norm(x, self.weight, self.eps)


class WordTable(Embedding):
    """Vectors of tokens, for input, and for output where the two are tied."""

    def scores(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        return F.linear(hidden, self.weight)


class GroupedAttention(nn.Module):
    """Attention in which several heads of queries share one of keys and values."""

    def __init__(self, config: CausalConfig, linear: LinearFactory = Linear) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads = config.num_heads, config.num_kv_heads
        self.head_dim = config.head_dim
        heads = config.num_heads + 2 * config.num_kv_heads
        width = config.num_heads * config.head_dim
        self.qkv = linear(
            config.embed_dim, heads * config.head_dim, bias=config.qkv_bias, stepwise=True
        )
        self.out = linear(width, config.embed_dim, bias=False, stepwise=True)
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else None

    def project(self, x: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, D) -> queries (B, H, L, E), keys and values (B, J, L, E)."""
        sizes = [self.num_heads, self.num_kv_heads, self.num_kv_heads]
        heads = self.qkv(x).unflatten(-1, (-1, self.head_dim))
        if self.q_norm is None or self.k_norm is None:
            both, v = torch.split(heads, [sizes[0] + sizes[1], sizes[2]], dim=2)
        else:
            q, k, v = torch.split(heads, sizes, dim=2)
            both = torch.cat([self.q_norm(q), self.k_norm(k)], dim=2)
        q, k = torch.split(rotate(both, *rotation), sizes[:2], dim=2)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Queries over keys and values -> (B, L, D).

        Args:
            q: (B, H, L, E).
            k: (B, J, M, E).
            v: (B, J, M, E).
            mask: (B, 1, G * L, M), from ``grouped``.
        """
        rows, _, length, _ = q.shape
        q = q.reshape(rows, self.num_kv_heads, -1, self.head_dim)
        mixed = _attend(q, k, v, mask)
        merged = mixed.reshape(rows, self.num_heads, length, self.head_dim).transpose(1, 2)
        out: Tensor = self.out(merged.flatten(2))
        return out


class GatedFeedForward(nn.Module):
    """Two products side by side, one through SiLU the gate of the other, and a product back."""

    def __init__(self, config: CausalConfig, linear: LinearFactory = Linear) -> None:
        super().__init__()
        self.widen = linear(config.embed_dim, 2 * config.ffn_dim, bias=False, stepwise=True)
        self.narrow = linear(config.ffn_dim, config.embed_dim, bias=False, stepwise=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        gate, up = self.widen(x).chunk(2, dim=-1)
        out: Tensor = self.narrow(F.silu(gate) * up)
        return out


class CausalLayer(nn.Module):
    """Attention and feed-forward, each of the norm of what came in and added to it."""

    def __init__(self, config: CausalConfig, linear: LinearFactory = Linear) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.embed_dim, config.norm_eps)
        self.attention = GroupedAttention(config, linear)
        self.ffn_norm = RMSNorm(config.embed_dim, config.norm_eps)
        self.ffn = GatedFeedForward(config, linear)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """(B, L, D), the rotation, mask (B, 1, G * L, L) from ``grouped`` -> (B, L, D)."""
        q, k, v = self.project(x, Rotation(cos, sin))
        return self.finish(x, q, k, v, mask)

    def project(self, x: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, D) -> queries (B, H, L, E), keys and values (B, J, L, E)."""
        return self.attention.project(self.attention_norm(x), rotation)

    def finish(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Everything after the projection; (B, L, D) in and out, ``mask`` as in ``attend``."""
        x = x + self.attention.attend(q, k, v, mask)
        added: Tensor = self.ffn(self.ffn_norm(x))
        return x + added


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attend as ``attend`` does; in training on a CPU without two copies of the scores.

    What is masked gets no weight, so softmax alone gives it no gradient, and the scores may be
    overwritten behind autograd's back. That holds where each query looks at something, as here.
    """
    if not q.requires_grad or q.device.type != "cpu":
        return attend(q, k, v, mask)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    scores.detach().masked_fill_(~mask, torch.finfo(scores.dtype).min)
    mixed: Tensor = scores.softmax(-1) @ v
    return mixed


def grouped(mask: Tensor, groups: int) -> Tensor:
    """Repeat a mask (B, L, M) for the heads that share keys: (B, 1, G * L, M)."""
    return mask.repeat(1, groups, 1)[:, None]


def rotation_at(positions: Tensor, config: CausalConfig, dtype: torch.dtype) -> Rotation:
    """Return the rotation of positions (B, L)."""
    turns = frequencies(config, positions.device, config.rotary_scaling)
    angles = positions[..., None].float() * turns
    both = torch.cat([angles, angles], dim=-1)[:, :, None]
    return Rotation(both.cos().to(dtype), both.sin().to(dtype))


def frequencies(
    config: CausalConfig, device: torch.device, scaling: RotaryScaling | None = None
) -> Tensor:
    """Return the angle (E / 2,) by which each pair turns from one position to the next.

    It is computed when needed: a buffer would stay without values on the meta device.
    """
    exponents = torch.arange(0, config.head_dim, 2, device=device).float() / config.head_dim
    plain = 1.0 / config.rotary_base**exponents
    return plain if scaling is None else _stretch(plain, scaling)


def _stretch(plain: Tensor, scaling: RotaryScaling) -> Tensor:
    """Llama 3's scaling: whole for long wavelengths, none for short ones, between them a part."""
    turns = scaling.original_positions * plain / (2 * math.pi)
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return kept * plain + (1 - kept) * plain / scaling.factor
