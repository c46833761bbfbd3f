"""The decoder: states and the reply so far in, the next token's hidden state out.

Sizes: B rows, T reply tokens, K beams a row, M encoder states, D model width, H heads,
E = D / H.
"""

import torch
from torch import Tensor, nn

from openmmb.model.attention import additive_mask
from openmmb.model.cache import DecoderCache
from openmmb.model.config import ModelConfig
from openmmb.model.layers import DecoderLayer, Positions, layer_norm
from openmmb.model.lean import Dropout
from openmmb.model.linear import Linear, LinearFactory
from openmmb.model.stack import Stack
from openmmb.model.static_cache import Heads, StaticSizes, StaticStates


class Decoder(nn.Module):
    """Write a reply, all of it at once (training) or token by token (search)."""

    def __init__(self, config: ModelConfig, linear: LinearFactory = Linear) -> None:
        super().__init__()
        self.config = config
        self.positions = Positions(config)
        self.layers = Stack(DecoderLayer(config, linear) for _ in range(config.num_decoder_layers))
        self.norm = layer_norm(config) if config.variant != "aiayn" else None
        self.dropout = Dropout(config.dropout)

    def forward(self, words: Tensor, states: Tensor, states_mask: Tensor) -> Tensor:
        """Run over a whole reply.

        Args:
            words: (B, T, D) embeddings of the tokens before each position, already scaled.
            states: (B, M, D).
            states_mask: (B, M) bool.

        Returns:
            (B, T, D) hidden states that predict each position.
        """
        x = self.layers.run(self._embed(words, 0), states, states_mask[:, None, None, :])
        return self._norm_output(x)

    def start(
        self, states: Tensor, states_mask: Tensor, *, num_beams: int, max_tokens: int
    ) -> DecoderCache:
        """Begin a search: cross-attention keys and values once, room for every beam.

        Args:
            states: (B, M, D).
            states_mask: (B, M) bool.
            num_beams: K.
            max_tokens: Most steps that will be taken.
        """
        rows, heads = len(states), self.config.num_heads
        slots, width = num_beams * max_tokens, self.config.embed_dim // heads
        return DecoderCache(
            cross=[_contiguous(*layer.cross.project(states)) for layer in self._layers()],
            cross_mask=additive_mask(states_mask[:, None, None, :], states.dtype),
            keys=[states.new_empty(rows, heads, slots, width) for _ in self.layers],
            values=[states.new_empty(rows, heads, slots, width) for _ in self.layers],
            mask=torch.zeros(rows, num_beams, slots, dtype=torch.bool, device=states.device),
        )

    def static_cache(self, sizes: StaticSizes, like: Tensor) -> StaticStates:
        """Return what searches of fixed sizes need; ``like`` has their precision and device."""
        heads, width = self.config.num_heads, self.config.embed_dim
        return StaticStates(sizes, Heads(len(self.layers), heads, width // heads), like=like)

    def begin(self, states: Tensor, states_mask: Tensor, cache: StaticStates) -> None:
        """Begin a search of fixed sizes; states and mask as in ``start``."""
        cache.begin((layer.cross.project(states) for layer in self._layers()), states_mask)

    def step(self, words: Tensor, parents: Tensor, cache: DecoderCache | StaticStates) -> Tensor:
        """One more token a beam.

        Args:
            words: (B, K, D) embeddings of the newest tokens, already scaled.
            parents: (B, K) int64, the beam of the step before that each beam continues.
            cache: From ``start``, or ``static_cache`` and begun; changed in place.

        Returns:
            (B, K, D) hidden states that predict the next tokens.
        """
        x = self._embed(words, cache.steps, length=1)
        mask = cache.advance(parents)
        for index, layer in enumerate(self._layers()):
            q, k, v = layer.project(x)
            keys, values = cache.write(index, k, v)
            attended = layer.attention.attend(q, keys, values, mask)
            x = layer.finish(x, attended, *cache.cross[index], cache.cross_mask)
        cache.close()
        return self._norm_output(x)

    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]

    def _embed(self, words: Tensor, start: int | Tensor, length: int | None = None) -> Tensor:
        positions = self.positions(start, words.shape[1] if length is None else length)
        if self.norm is not None and self.config.variant == "xlm":
            words = self.norm(words)
        x = words + positions
        if self.norm is not None and self.config.variant == "bart":
            x = self.norm(x)
        embedded: Tensor = self.dropout(x)
        return embedded

    def _norm_output(self, x: Tensor) -> Tensor:
        if self.norm is None or self.config.variant != "prelayernorm":
            return x
        normed: Tensor = self.norm(x)
        return normed


def _contiguous(k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Lay each head's keys and values one after the other: every step reads them all."""
    return k.contiguous(), v.contiguous()
