"""The encoder: context and picture in, states out.

Sizes: B rows, S context tokens, I image vectors (0 where no row has a picture), F features in
each, R states that a vector becomes, D model width.
"""

import torch
from torch import Tensor, nn

from openmmb.model.config import ModelConfig
from openmmb.model.fusion import ImageProjector, append_image
from openmmb.model.layers import EncoderLayer, Positions, layer_norm
from openmmb.model.stack import Stack

TEXT, IMAGE = 0, 1
"""Segments."""


class Encoder(nn.Module):
    """Read a context and a picture (ParlAI's ``ContextWithImageEncoder``)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.positions = Positions(config)
        self.segments = (
            nn.Embedding(config.num_segments, config.embed_dim) if config.num_segments else None
        )
        self.image_projector = ImageProjector(config)
        self.layers = Stack(EncoderLayer(config) for _ in range(config.num_encoder_layers))
        self.norm = layer_norm(config) if config.variant != "aiayn" else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, words: Tensor, words_mask: Tensor, image: Tensor, image_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Encode token embeddings and image vectors.

        Args:
            words: (B, S, D) token embeddings, already scaled.
            words_mask: (B, S) bool, True at real tokens.
            image: (B, I, F).
            image_mask: (B, I) bool.

        Returns:
            States (B, S+I*R, D), text first, and their mask (B, S+I*R).
        """
        words = words + self.positions(0, words.shape[1])
        if self.segments is not None:
            words = words + self.segments.weight[TEXT]
        # Without a picture the projector stays out of it: no gradient at all, as in ParlAI, where a
        # gradient of zero would let an optimiser's momentum move its weights on.
        if image.shape[1]:
            projected = self.image_projector(image)
        else:
            projected = words.new_empty(len(words), 0, words.shape[2])
        image_mask = image_mask.repeat_interleave(self.config.image_tokens, dim=1)
        if self.config.fusion == "late":
            text = self._run(self._norm_embeddings(words), words_mask)
            return append_image(text, words_mask, projected, image_mask)
        if self.segments is not None:
            projected = projected + self.segments.weight[IMAGE]
        both, mask = append_image(words, words_mask, projected, image_mask)
        if self.config.variant == "xlm":  # in early fusion ParlAI leaves bart's out
            both = self._norm_embeddings(both)
        return self._run(both, mask), mask

    def _norm_embeddings(self, x: Tensor) -> Tensor:
        if self.norm is None or self.config.variant == "prelayernorm":
            return x
        normed: Tensor = self.norm(x)
        return normed

    def _run(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.layers.run(self.dropout(x), mask[:, None, None, :])
        if self.norm is not None and self.config.variant == "prelayernorm":
            x = self.norm(x)
        return x * self.config.output_scaling


def no_image(rows: int, like: Tensor, image_dim: int) -> tuple[Tensor, Tensor]:
    """Return the image vectors (B, 0, F) and mask (B, 0) of rows without a picture."""
    image = like.new_zeros(rows, 0, image_dim)
    return image, torch.zeros(rows, 0, dtype=torch.bool, device=like.device)
