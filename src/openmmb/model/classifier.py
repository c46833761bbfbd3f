"""The classifier: a text in, one number for each label out.

Sizes: B rows, L tokens, D width, C labels.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from openmmb.config import config, require
from openmmb.model.config import EncoderShape, Variant, require_counts
from openmmb.model.encoder import Encoder
from openmmb.model.initial import initialise
from openmmb.model.lean import Dropout
from openmmb.model.linear import Embedding, Linear

Pooling = Literal["mean", "max", "first"]


@config
class ClassifierShape(EncoderShape):
    """Shape of the network.

    The defaults are those of ParlAI's dialogue safety models (Dinan et al. 2019, "Build it, break
    it, fix it for dialogue safety").
    """

    num_labels: int = 2
    """C, number of labels."""
    embed_dim: int = 768
    """D, width of the network; a multiple of `num_heads`."""
    ffn_dim: int = 3072
    """Width between the two linear layers of a feed-forward block."""
    num_heads: int = 12
    """H, number of attention heads."""
    num_layers: int = 12
    """Number of layers of the encoder."""
    num_positions: int = 1024
    """Longest text, in tokens."""
    learned_positions: bool = True
    """Train the positions; otherwise they are sinusoids, fixed."""
    scale_embeddings: bool = False
    """Multiply token embeddings by the square root of `embed_dim`."""
    num_segments: int = 2
    """2: the embedding of the first segment is added to every token, as ParlAI does; 0: none."""
    mark_context: bool = False
    """Add the second segment, and not the first, to what is not judged, as BERT marks the second of
    two texts."""
    variant: Variant = "xlm"
    """Where the layer norms stand (ParlAI's `--variant`)."""
    pooling: Pooling = "mean"
    """How the states of a text become one (ParlAI's `--reduction-type`)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require("num_labels", self.num_labels, "at least 2", holds=self.num_labels >= 2)
        require_counts(self, "num_labels", "num_layers")
        if self.mark_context and self.num_segments != 2:
            raise ValueError(f"num_segments ({self.num_segments}) must be 2 with mark_context")


class Classifier(nn.Module):
    """An encoder, its states pooled, and a linear head (ParlAI's ``transformer/classifier``).

    Its weights are to be loaded, or drawn by ``initialise``.
    """

    def __init__(self, shape: ClassifierShape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = Embedding(shape.vocab_size, shape.embed_dim)
        self.encoder = Encoder(shape, shape.num_layers)
        self.dropout = Dropout(shape.dropout)
        self.head: nn.Linear = Linear(shape.embed_dim, shape.num_labels)
        self.scale = math.sqrt(shape.embed_dim) if shape.scale_embeddings else 1.0

    def initialise(self) -> None:
        """Draw the weights that training starts from."""
        initialise(self)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embeddings.weight.device

    def forward(self, ids: Tensor, mask: Tensor, judged: Tensor) -> Tensor:
        """Read texts.

        Args:
            ids: (B, L) int64.
            mask: (B, L) bool, True at real tokens.
            judged: (B, L) bool, True at the tokens whose states are pooled, at least one a row;
                the others are only looked at.

        Returns:
            Logits (B, C).
        """
        words = self.embeddings(ids) * self.scale
        if self.shape.mark_context and self.encoder.segments is not None:
            first, second = self.encoder.segments.weight
            words = words + (second - first) * (mask & ~judged)[..., None]
        states, _ = self.encoder(words, mask)
        logits: Tensor = self.head(self.dropout(pool(states, judged, self.shape.pooling)))
        return logits

    def num_parameters(self) -> int:
        """Count the weights."""
        return sum(weight.numel() for weight in self.parameters())


def pool(states: Tensor, judged: Tensor, how: Pooling) -> Tensor:
    """(B, L, D) and (B, L) True at what counts, at least one a row -> (B, D)."""
    kept = judged[..., None]
    match how:
        case "mean":
            return (states * kept).sum(1) / kept.sum(1)
        case "max":
            return states.masked_fill(~kept, -math.inf).amax(1)
        case "first":
            first = judged.to(torch.uint8).argmax(1)  # of equal values the first, unlike for bool
            return states[torch.arange(len(states), device=states.device), first]
