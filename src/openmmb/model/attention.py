"""Multi-head attention, for training and for one step of a search.

Sizes: B rows, L queries, M keys, D width, H heads, E = D / H.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmmb.model.linear import Linear, LinearFactory


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, L, D) -> (B, H, L, E)."""
    rows, length, width = x.shape
    return x.view(rows, length, num_heads, width // num_heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, H, L, E) -> (B, L, D)."""
    return x.transpose(1, 2).flatten(2)


def additive_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a mask, True at what may be looked at, into what is added to scores.

    The fused kernel does so itself at every call; a mask that many calls share is turned once.
    """
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -torch.inf)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    *,
    dropout: float = 0.0,
    causal: bool = False,
) -> Tensor:
    """Scaled dot-product attention.

    Args:
        q: (B, H, L, E).
        k: (B, H, M, E).
        v: (B, H, M, E).
        mask: Broadcasts to (B, H, L, M); True at what may be looked at, or, without gradient, from
            ``additive_mask``.
        dropout: Probability on the weights.
        causal: Each query looks at the keys up to its own place; only without ``mask``.

    Returns:
        (B, H, L, E).
    """
    if q.requires_grad and q.device.type == "cpu" and dropout == 0.0:
        return _attend_plainly(q, k, v, mask, causal=causal)
    return F.scaled_dot_product_attention(q, k, v, mask, dropout, causal)


def _attend_plainly(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, causal: bool
) -> Tensor:
    """Train on a CPU: at a few hundred positions the fused kernel's backward is the slow part.

    Measured at (32, 6, 128, 64) in bfloat16 on one core: fused 6 + 56 ms forward and backward,
    this 7 + 15 ms.
    """
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
    if mask is not None:
        # Not -inf: a query that may look at nothing would make every weight NaN.
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    mixed: Tensor = scores.softmax(-1) @ v
    return mixed


class SelfAttention(nn.Module):
    """Every position looks at every other, or at those before it.

    Queries, keys and values come from one product: three small ones are slower.
    """

    def __init__(
        self,
        *,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        linear: LinearFactory = Linear,
        stepwise: bool = False,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.qkv = linear(embed_dim, 3 * embed_dim, stepwise=stepwise)
        self.out = linear(embed_dim, embed_dim, stepwise=stepwise)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, D) -> queries, keys, values, each (B, H, L, E)."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        heads = self.num_heads
        return split_heads(q, heads), split_heads(k, heads), split_heads(v, heads)

    def forward(self, x: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
        """(B, L, D) -> (B, L, D); ``mask`` (B, 1, 1 or L, L) is True at what may be looked at."""
        q, k, v = self.project(x)
        return self.attend(q, k, v, mask, causal=causal)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, causal: bool = False
    ) -> Tensor:
        """Queries (B, H, L, E) over keys and values (B, H, M, E) -> (B, L, D)."""
        dropout = self.dropout if self.training else 0.0
        mixed = attend(q, k, v, mask, dropout=dropout, causal=causal)
        out: Tensor = self.out(merge_heads(mixed))
        return out


class CrossAttention(nn.Module):
    """The reply looks at the encoder's states."""

    def __init__(
        self,
        *,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        linear: LinearFactory = Linear,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.q = linear(embed_dim, embed_dim, stepwise=True)
        self.kv = linear(embed_dim, 2 * embed_dim)
        self.out = linear(embed_dim, embed_dim, stepwise=True)

    def project(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder states (B, M, D) -> keys, values, each (B, H, M, E)."""
        k, v = self.kv(states).chunk(2, dim=-1)
        return split_heads(k, self.num_heads), split_heads(v, self.num_heads)

    def forward(self, x: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Queries from (B, L, D) over keys and values (B, H, M, E) -> (B, L, D)."""
        q = split_heads(self.q(x), self.num_heads)
        dropout = self.dropout if self.training else 0.0
        mixed = attend(q, k, v, mask, dropout=dropout)
        out: Tensor = self.out(merge_heads(mixed))
        return out
