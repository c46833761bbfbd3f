"""Low-rank adapters: a frozen network learns by small matrices beside its products.

Each product x W becomes x W + alpha / rank * (x A) B (Hu et al. 2021, "LoRA"). B begins as zero, so
that an adapted network says what it said before. Beside the adapters, the picture's weights train,
and the vectors of some tokens: those that steer.

Sizes: R rank, N outputs, K inputs, V vocabulary, D width.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmmb.config import config, require
from openmmb.model.causal import CausalLM
from openmmb.model.causal_layers import WordTable
from openmmb.model.lean import low_rank

Target = Literal["attention.qkv", "attention.out", "ffn.widen", "ffn.narrow"]

MOST_RANK = 4096
"""Upper bound of a rank: above it, an adapter has more weights than what it adapts."""
PICTURE = ("image_projector.", "image_segment")
"""Begin the names of the weights of pictures, which train whole."""


@config
class AdapterConfig:
    """Which weights of a frozen network are trained."""

    rank: int = 16
    """R, width of the matrices beside each product."""
    alpha: float = 32.0
    """Factor of what the matrices add, before it is divided by `rank`."""
    targets: tuple[Target, ...] = ("attention.qkv", "attention.out", "ffn.widen", "ffn.narrow")
    """Linear layers of every layer of the network that get such matrices."""
    first_token: int = 0
    """Id of the first token whose vector is trained."""
    num_tokens: int = 17
    """Number of tokens whose vectors are trained; by default SmolLM2's special tokens."""

    def __post_init__(self) -> None:
        holds = 1 <= self.rank <= MOST_RANK
        require("rank", self.rank, f"from 1 to {MOST_RANK}", holds=holds)
        require("first_token", self.first_token, "at least 0", holds=self.first_token >= 0)
        require("num_tokens", self.num_tokens, "at least 0", holds=self.num_tokens >= 0)
        distinct = len(set(self.targets)) == len(self.targets)
        require("targets", ", ".join(self.targets), "each another one", holds=distinct)

    @property
    def scale(self) -> float:
        """Factor of the product of the two matrices."""
        return self.alpha / self.rank


class AdaptedLinear(nn.Module):
    """A frozen linear layer with a trained product of two thin matrices added.

    It is no ``nn.Linear``: code that replaces those would lose what it has learnt.
    """

    def __init__(self, plain: nn.Linear, config: AdapterConfig) -> None:
        super().__init__()
        outputs, inputs = plain.weight.shape
        self.scale = config.scale
        self.weight, self.bias = plain.weight, plain.bias
        device = plain.weight.device
        self.down = nn.Parameter(torch.empty(config.rank, inputs, device=device))
        self.up = nn.Parameter(torch.zeros(outputs, config.rank, device=device))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N)."""
        return low_rank(x, self.weight, self.bias, self.down, self.up, self.scale)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Return a linear layer that does the same; the weight is changed in place."""
        outputs, inputs = self.weight.shape
        plain = nn.Linear(inputs, outputs, bias=self.bias is not None, device="meta")
        change = self.scale * (self.up.float() @ self.down.float())
        self.weight.copy_(self.weight.float() + change)
        plain.weight, plain.bias = self.weight, self.bias
        return plain


class AdaptedTable(WordTable):
    """A frozen table of words in which the vectors of some tokens train."""

    def __init__(self, plain: WordTable, config: AdapterConfig) -> None:
        super().__init__(plain.num_embeddings, plain.embedding_dim, device="meta")
        self.weight = plain.weight
        self.first = config.first_token
        self.end = config.first_token + config.num_tokens
        self.rows = nn.Parameter(plain.weight[self.first : self.end].detach().float().clone())

    def forward(self, ids: Tensor) -> Tensor:
        """(B, L) -> (B, L, D)."""
        frozen = F.embedding(ids, self.weight)
        inside = (ids >= self.first) & (ids < self.end)
        own = F.embedding((ids - self.first).where(inside, 0), self.rows)
        return torch.where(inside[..., None], own.to(frozen.dtype), frozen)

    def scores(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        scores = super().scores(hidden)
        scores[..., self.first : self.end] = F.linear(hidden, self.rows.to(hidden.dtype))
        return scores

    @torch.no_grad()
    def merged(self) -> WordTable:
        """Return a table that does the same; the weight is changed in place."""
        plain = WordTable(self.num_embeddings, self.embedding_dim, device="meta")
        self.weight[self.first : self.end] = self.rows.to(self.weight.dtype)
        plain.weight = self.weight
        return plain


def adapt(network: CausalLM, config: AdapterConfig) -> None:
    """Freeze a network in place, all but its picture's weights, and put adapters into it.

    What trains is float32 whatever the rest is.

    Raises:
        ValueError: The vocabulary has fewer tokens, or the network has adapters already, or layers
            that cannot have any.
    """
    if is_adapted(network):
        raise ValueError("the network has adapters already; merge them first")
    last = config.first_token + config.num_tokens
    if last > network.vocab_size:
        raise ValueError(
            f"first_token ({config.first_token}) and num_tokens ({config.num_tokens}) must be at "
            f"most {network.vocab_size} together, the size of the vocabulary"
        )
    network.requires_grad_(requires_grad=False)
    network.image_projector.float().requires_grad_()
    network.image_segment = nn.Parameter(network.image_segment.detach().float())
    for layer in network.layers:
        for target in config.targets:
            plain = layer.get_submodule(target)
            if not isinstance(plain, nn.Linear):
                kind = type(plain).__name__
                raise ValueError(f"{target} is a {kind}; adapters need a plain linear layer")
            layer.set_submodule(target, AdaptedLinear(plain, config))
    if config.num_tokens:
        network.embeddings = AdaptedTable(network.embeddings, config)


def merge(network: CausalLM) -> None:
    """Merge what the adapters have learnt into the weights, in place, and remove the adapters."""
    for path, module in list(network.named_modules()):
        if isinstance(module, AdaptedLinear | AdaptedTable):
            network.set_submodule(path, module.merged())


def is_adapted(network: nn.Module) -> bool:
    """Return whether a network has adapters."""
    return any(isinstance(m, AdaptedLinear | AdaptedTable) for m in network.modules())


def own_names(network: nn.Module) -> list[str]:
    """Return the names of the weights that training changes: all that a checkpoint must hold."""
    names = [name for name, _ in network.named_parameters() if name.startswith(PICTURE)]
    for path, module in network.named_modules():
        if isinstance(module, AdaptedLinear):
            names += [f"{path}.down", f"{path}.up"]
        if isinstance(module, AdaptedTable):
            names.append(f"{path}.rows")
    return names
