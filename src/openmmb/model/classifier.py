"""The classifier: a text in, one number for each label out.

Sizes: B rows, L tokens, D width, C labels.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from openmmb.config import config, require
from openmmb.model.config import ModelConfig, Variant
from openmmb.model.layers import EncoderLayer, Positions, layer_norm
from openmmb.model.stack import Stack

Pooling = Literal["mean", "max", "first"]


@config
class ClassifierShape:
    """Everything that decides which tensors the network has and how they meet.

    The defaults are those of ParlAI's dialogue safety models (Dinan et al. 2019, "Build it, break
    it, fix it for dialogue safety").
    """

    num_labels: int = 2
    """C."""
    vocab_size: int = 8008
    """V."""
    embed_dim: int = 768
    """D."""
    ffn_dim: int = 3072
    """Width between the two linear layers of a feed-forward block."""
    num_heads: int = 12
    """H; divides ``embed_dim``."""
    num_layers: int = 12
    """Layers of the encoder."""
    num_positions: int = 1024
    """Longest text, in tokens."""
    learned_positions: bool = True
    """Train the positions; otherwise they are sinusoids, fixed."""
    scale_embeddings: bool = False
    """Multiply token embeddings by the square root of ``embed_dim``."""
    num_segments: int = 2
    """2: the embedding of the first segment is added to every token, as ParlAI does; 0: none."""
    variant: Variant = "xlm"
    """Where the layer norms stand (ParlAI's ``--variant``)."""
    activation: Literal["gelu", "relu"] = "gelu"
    """Between the two linear layers of a feed-forward block."""
    output_scaling: float = 1.0
    """Multiplies the encoder's output."""
    pooling: Pooling = "mean"
    """How the states of a text become one (ParlAI's ``--reduction-type``)."""
    dropout: float = 0.1
    """On embeddings, on what each block adds, and on the pooled state."""
    attention_dropout: float = 0.0
    """On attention weights."""
    activation_dropout: float = 0.0
    """After the activation."""

    def __post_init__(self) -> None:
        require("num_labels", self.num_labels, "at least 2", holds=self.num_labels >= 2)
        self.encoder()

    def encoder(self) -> ModelConfig:
        """Return the same shape as the encoder's layers take it.

        Raises:
            ValueError: A size is below 1, a dropout is none, or the heads do not divide the width.
        """
        return ModelConfig(
            vocab_size=self.vocab_size,
            embed_dim=self.embed_dim,
            ffn_dim=self.ffn_dim,
            num_heads=self.num_heads,
            num_encoder_layers=self.num_layers,
            num_positions=self.num_positions,
            learned_positions=self.learned_positions,
            scale_embeddings=self.scale_embeddings,
            num_segments=self.num_segments,
            variant=self.variant,
            activation=self.activation,
            output_scaling=self.output_scaling,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            activation_dropout=self.activation_dropout,
        )


class TextEncoder(nn.Module):
    """The encoder of ``Seq2Seq`` without pictures; its weights have the same names."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.positions = Positions(config)
        self.segments = (
            nn.Embedding(config.num_segments, config.embed_dim) if config.num_segments else None
        )
        self.layers = Stack(EncoderLayer(config) for _ in range(config.num_encoder_layers))
        self.norm = layer_norm(config) if config.variant != "aiayn" else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        """Token embeddings (B, L, D), mask (B, L) True at real tokens -> states (B, L, D)."""
        x = words + self.positions(0, words.shape[1])
        if self.segments is not None:
            x = x + self.segments.weight[0]
        pre_norm = self.config.variant == "prelayernorm"
        if self.norm is not None and not pre_norm:
            x = self.norm(x)
        x = self.layers.run(self.dropout(x), mask[:, None, None, :])
        if self.norm is not None and pre_norm:
            x = self.norm(x)
        states: Tensor = x * self.config.output_scaling
        return states


class Classifier(nn.Module):
    """An encoder, its states pooled, and a linear head (ParlAI's ``transformer/classifier``)."""

    def __init__(self, shape: ClassifierShape) -> None:
        super().__init__()
        self.shape = shape
        config = shape.encoder()
        self.embeddings = nn.Embedding(shape.vocab_size, shape.embed_dim)
        self.encoder = TextEncoder(config)
        self.dropout = nn.Dropout(shape.dropout)
        self.head = nn.Linear(shape.embed_dim, shape.num_labels)
        self.scale = math.sqrt(shape.embed_dim) if shape.scale_embeddings else 1.0
        self.apply(_initialise)

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
        states = self.encoder(self.embeddings(ids) * self.scale, mask)
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


def _initialise(module: nn.Module) -> None:
    """Random weights as ``Seq2Seq`` starts from."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
