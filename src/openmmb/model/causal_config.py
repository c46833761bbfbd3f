"""The shape of a decoder-only network: Llama 3, SmolLM2, Qwen2.5, Qwen3."""

from typing import Literal

from openmmb.config import config, require
from openmmb.model.config import MOST, require_counts

COUNTS = (
    "vocab_size",
    "embed_dim",
    "ffn_dim",
    "num_heads",
    "num_kv_heads",
    "head_dim",
    "num_layers",
    "num_positions",
    "image_vectors",
    "image_dim",
    "image_layers",
)
"""Fields that are 1 or more."""


@config
class RotaryScaling:
    """How Llama 3 stretches its rotary positions beyond those that it was first trained on."""

    factor: float = 8.0
    """Divides the frequencies of long wavelengths."""
    low_freq_factor: float = 1.0
    """Wavelengths above `original_positions` divided by this are stretched whole."""
    high_freq_factor: float = 4.0
    """Wavelengths below `original_positions` divided by this stay as they are."""
    original_positions: int = 8192
    """Longest text of the first training, in tokens."""

    def __post_init__(self) -> None:
        require("factor", self.factor, "at least 1", holds=self.factor >= 1)
        ordered = 0 < self.low_freq_factor < self.high_freq_factor
        if not ordered:
            raise ValueError(
                f"low_freq_factor ({self.low_freq_factor}) must be above 0 and below "
                f"high_freq_factor ({self.high_freq_factor})"
            )
        positions = self.original_positions
        holds = 1 <= positions <= MOST
        require("original_positions", positions, f"from 1 to {MOST}", holds=holds)


@config
class CausalConfig:
    """Shape of a decoder-only network.

    The defaults are those of SmolLM2-135M, with the picture input of the bundled encoder.
    """

    kind: Literal["causal"] = "causal"
    """Tells this kind of network from the others in a file."""
    vocab_size: int = 49152
    """V, size of the vocabulary."""
    embed_dim: int = 576
    """D, width of the network."""
    ffn_dim: int = 1536
    """Width inside a feed-forward block."""
    num_heads: int = 9
    """H, number of heads of queries."""
    num_kv_heads: int = 3
    """J, number of heads of keys and values, each shared by as many heads of queries."""
    head_dim: int = 64
    """E, width of a head; even."""
    num_layers: int = 30
    """Number of layers."""
    num_positions: int = 8192
    """Longest sequence of picture, context and reply together."""
    rotary_base: float = 100_000.0
    """Base of the rotary positions' wavelengths."""
    rotary_scaling: RotaryScaling | None = None
    """Llama 3's scaling of the rotary positions."""
    norm_eps: float = 1e-5
    """Added to the mean square under the root of a norm."""
    qkv_bias: bool = False
    """Add a bias to queries, keys and values, as Qwen2.5 does."""
    qk_norm: bool = False
    """Norm every head's queries and keys, as Qwen3 does."""
    tied: bool = True
    """Use one table of embeddings for input and output."""
    image_vectors: int = 49
    """I, number of vectors of a picture."""
    image_dim: int = 1280
    """F, width of an image vector."""
    image_layers: int = 1
    """Number of linear layers between an image vector and the network."""

    def __post_init__(self) -> None:
        require_counts(self, *COUNTS)
        require("head_dim", self.head_dim, "even", holds=self.head_dim % 2 == 0)
        require("rotary_base", self.rotary_base, "above 1", holds=self.rotary_base > 1)
        require("norm_eps", self.norm_eps, "above 0", holds=self.norm_eps > 0)
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads ({self.num_heads}) must be a multiple of num_kv_heads "
                f"({self.num_kv_heads})"
            )

    @property
    def image_tokens(self) -> int:
        """R, number of states that an image vector becomes."""
        return 1

    @property
    def dropout(self) -> float:
        """None of the published networks has any."""
        return 0.0
