"""The two kinds of layer, each in its four published variants.

Sizes: B rows, L positions, M encoder states, D width, H heads, E = D / H.
"""

import math

import torch
from torch import Tensor, nn

from openmmb.model.attention import CrossAttention, SelfAttention
from openmmb.model.config import EncoderShape
from openmmb.model.lean import Dropout
from openmmb.model.linear import Linear, LinearFactory

LAYER_NORM_EPS = 1e-5  # ParlAI's and Hugging Face's


class FeedForward(nn.Module):
    """Two linear layers with an activation between."""

    def __init__(
        self, config: EncoderShape, linear: LinearFactory = Linear, *, stepwise: bool = False
    ) -> None:
        super().__init__()
        self.widen = linear(
            config.embed_dim, config.ffn_dim, activation=config.activation, stepwise=stepwise
        )
        self.narrow = linear(config.ffn_dim, config.embed_dim, stepwise=stepwise)
        self.dropout = Dropout(config.activation_dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        out: Tensor = self.narrow(self.dropout(self.widen(x)))
        return out


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each added to what came in."""

    def __init__(self, config: EncoderShape, linear: LinearFactory = Linear) -> None:
        super().__init__()
        self.pre_norm = config.variant == "prelayernorm"
        self.attention = SelfAttention(
            embed_dim=config.embed_dim,
            num_heads=config.num_heads,
            dropout=config.attention_dropout,
            linear=linear,
        )
        self.attention_norm = layer_norm(config)
        self.ffn = FeedForward(config, linear)
        self.ffn_norm = layer_norm(config)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, L, D), mask (B, 1, 1, L) True at what counts -> (B, L, D)."""
        if self.pre_norm:
            x = x + self.dropout(self.attention(self.attention_norm(x), mask))
            x = x + self.dropout(self.ffn(self.ffn_norm(x)))
        else:
            x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
            x = self.ffn_norm(x + self.dropout(self.ffn(x)))
        return x


class DecoderLayer(nn.Module):
    """Self-attention, attention to the encoder's states, feed-forward."""

    def __init__(self, config: EncoderShape, linear: LinearFactory = Linear) -> None:
        super().__init__()
        self.pre_norm = config.variant == "prelayernorm"
        self.attention = SelfAttention(
            embed_dim=config.embed_dim,
            num_heads=config.num_heads,
            dropout=config.attention_dropout,
            linear=linear,
            stepwise=True,
        )
        self.attention_norm = layer_norm(config)
        self.cross = CrossAttention(
            embed_dim=config.embed_dim,
            num_heads=config.num_heads,
            dropout=config.attention_dropout,
            linear=linear,
        )
        self.cross_norm = layer_norm(config)
        self.ffn = FeedForward(config, linear, stepwise=True)
        self.ffn_norm = layer_norm(config)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, states: Tensor, states_mask: Tensor) -> Tensor:
        """A whole reply (B, L, D) over states (B, M, D), mask (B, 1, 1, M) -> (B, L, D)."""
        q, k, v = self.project(x)
        cross_k, cross_v = self.cross.project(states)
        attended = self.attention.attend(q, k, v, None, causal=True)
        return self.finish(x, attended, cross_k, cross_v, states_mask)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, D) -> queries, keys and values of the self-attention, each (B, H, L, E)."""
        return self.attention.project(self.attention_norm(x) if self.pre_norm else x)

    def finish(self, x: Tensor, attended: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Everything after the self-attention.

        Args:
            x: (B, L, D), the layer's input.
            attended: (B, L, D), the self-attention's output.
            k: (B, H, M, E), keys of the encoder's states.
            v: (B, H, M, E), their values.
            mask: (B, 1, 1, M), True at states that count, or that from ``additive_mask``.
        """
        if self.pre_norm:
            x = x + self.dropout(attended)
            x = x + self.dropout(self.cross(self.cross_norm(x), k, v, mask))
            x = x + self.dropout(self.ffn(self.ffn_norm(x)))
        else:
            x = self.attention_norm(x + self.dropout(attended))
            x = self.cross_norm(x + self.dropout(self.cross(x, k, v, mask)))
            x = self.ffn_norm(x + self.dropout(self.ffn(x)))
        return x


def layer_norm(config: EncoderShape) -> nn.LayerNorm:
    """Return the layer norm that every block uses."""
    return nn.LayerNorm(config.embed_dim, eps=LAYER_NORM_EPS)


class Positions(nn.Module):
    """One vector a position: trained, or fixed sinusoids with sine and cosine interleaved.

    A fixed table is stored with the weights all the same, since published checkpoints carry
    theirs and theirs is the one to use. It is empty until it is loaded or ``initialise`` fills it.
    """

    def __init__(self, config: EncoderShape) -> None:
        super().__init__()
        table = torch.empty(config.num_positions, config.embed_dim)
        self.weight = nn.Parameter(table, requires_grad=config.learned_positions)

    def reset_parameters(self) -> None:
        """Fill the table as an untrained network has it."""
        count, width = self.weight.shape
        if self.weight.requires_grad:
            nn.init.normal_(self.weight, std=width**-0.5)
            return
        with torch.no_grad():
            self.weight.copy_(sinusoids(count, width))

    def forward(self, start: int | Tensor, length: int) -> Tensor:
        """Vectors of positions ``start`` to ``start + length``: (length, D).

        A tensor (1,) is the one position, which then may not be beyond the last.

        Raises:
            ValueError: There are not so many positions.
        """
        if isinstance(start, Tensor):
            return self.weight.index_select(0, start)
        if start + length > len(self.weight):
            raise ValueError(
                f"{start + length} tokens, but the network has {len(self.weight)} positions"
            )
        return self.weight[start : start + length]


def sinusoids(count: int, width: int) -> Tensor:
    """(count, width) fixed positions, as ParlAI computes them."""
    position = torch.arange(count, dtype=torch.float64)[:, None]
    column = torch.arange(width)
    rate = torch.exp(-math.log(10000.0) * 2 * torch.div(column, 2, rounding_mode="floor") / width)
    angle = position * rate.double()
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()
