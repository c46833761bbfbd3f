"""The shapes of the encoder and of the network around it, and the published sizes."""

from typing import Literal

from openmmb.config import config, require

Variant = Literal["prelayernorm", "xlm", "aiayn", "bart"]
Fusion = Literal["early", "late"]

MOST_LAYERS, MOST = 1000, 2**20
"""Upper bounds, of layers and of every other size: above every published network, and three sizes
multiplied still fit into 64 bits."""


@config
class EncoderShape:
    """Shape of an encoder's layers."""

    vocab_size: int = 8008
    """V, size of the vocabulary."""
    embed_dim: int = 2560
    """D, width of the network; a multiple of `num_heads`."""
    ffn_dim: int = 10240
    """Width between the two linear layers of a feed-forward block."""
    num_heads: int = 32
    """H, number of attention heads."""
    num_positions: int = 128
    """Longest text, in tokens; image vectors have no position."""
    learned_positions: bool = False
    """Train the positions; otherwise they are sinusoids, fixed."""
    scale_embeddings: bool = True
    """Multiply token embeddings by the square root of `embed_dim`."""
    num_segments: int = 2
    """2: an embedding marks what is text and what is a picture; 0: nothing does."""
    variant: Variant = "prelayernorm"
    """Where the layer norms stand (ParlAI's `--variant`)."""
    activation: Literal["gelu", "relu"] = "gelu"
    """Activation between the two linear layers of a feed-forward block."""
    output_scaling: float = 1.0
    """Factor of the encoder's output."""
    dropout: float = 0.1
    """Dropout of embeddings and of what each block adds."""
    attention_dropout: float = 0.0
    """Dropout of attention weights."""
    activation_dropout: float = 0.0
    """Dropout after the activation."""

    def __post_init__(self) -> None:
        require_counts(self, "vocab_size", "embed_dim", "ffn_dim", "num_heads", "num_positions")
        for name in ("dropout", "attention_dropout", "activation_dropout"):
            value = getattr(self, name)
            require(name, value, "at least 0 and below 1", holds=0 <= value < 1)
        if self.embed_dim % self.num_heads:
            raise ValueError(
                f"embed_dim ({self.embed_dim}) must be a multiple of num_heads ({self.num_heads})"
            )
        require("num_segments", self.num_segments, "0 or 2", holds=self.num_segments in (0, 2))


@config
class ModelConfig(EncoderShape):
    """Everything that decides the tensors of an encoder and a decoder and how they meet.

    The defaults are MMB's (Shuster et al. 2020, model card): BlenderBot 2.7B with 100 picture
    regions of 2048 features, fused early.
    """

    num_encoder_layers: int = 2
    """Number of layers that read the context."""
    num_decoder_layers: int = 24
    """Number of layers that write the reply."""
    fusion: Fusion = "early"
    """`early`: image vectors pass the encoder with the text; `late`: they join after it."""
    image_vectors: int = 100
    """I, number of vectors of a picture."""
    image_dim: int = 2048
    """F, width of an image vector."""
    image_layers: int = 1
    """Number of linear layers between an image vector and the encoder."""
    image_tokens: int = 1
    """R, number of states that an image vector becomes; more than 1 in late fusion only."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_counts(self, "num_encoder_layers", "num_decoder_layers")
        require_counts(self, "image_vectors", "image_dim", "image_layers", "image_tokens")
        if self.fusion == "early" and self.image_tokens > 1:
            raise ValueError(
                f"image_tokens ({self.image_tokens}) must be 1 where fusion is {self.fusion!r}"
            )


def require_counts(shape: object, *names: str) -> None:
    """Refuse a shape in which one of these fields is below 1, or far above all published ones.

    A config can come from anybody, and a network is built before its weights are looked for.

    Raises:
        ValueError: One is.
    """
    for name in names:
        value, most = getattr(shape, name), MOST_LAYERS if name.endswith("_layers") else MOST
        require(name, value, f"from 1 to {most}", holds=1 <= value <= most)


SIZES: dict[str, ModelConfig] = {
    "tiny": ModelConfig(
        embed_dim=384,
        ffn_dim=1536,
        num_heads=6,
        num_encoder_layers=2,
        num_decoder_layers=5,
        learned_positions=True,
        image_vectors=49,
        image_dim=1280,
    ),
    "90M": ModelConfig(
        vocab_size=54944,
        embed_dim=512,
        ffn_dim=2048,
        num_heads=16,
        num_encoder_layers=8,
        num_decoder_layers=8,
        num_positions=512,
        learned_positions=True,
        variant="xlm",
    ),
    "400M": ModelConfig(embed_dim=1280, ffn_dim=5120, num_decoder_layers=12),
    "2.7B": ModelConfig(),
}
"""The bundled model's shape and those of BlenderBot, each with picture input."""
