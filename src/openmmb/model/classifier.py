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
        if self.mark_context and self.num_segments != 2:
            raise ValueError(f"num_segments ({self.num_segments}) must be 2 with mark_context")
