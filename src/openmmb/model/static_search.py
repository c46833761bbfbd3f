"""Searches of fixed sizes, over either network, one after the other in the same tensors.

Sizes: B rows, K beams a row, D model width.
"""

from typing import Protocol

from torch import Tensor

from openmmb.model.causal import CausalLM
from openmmb.model.causal_memory import CausalMemory, StaticPrefix
from openmmb.model.network import Memory, TrainableNetwork
from openmmb.model.seq2seq import Seq2Seq, States
from openmmb.model.static_cache import StaticCache, StaticSizes


class StaticSearch(Protocol):
    """A search that can be begun again, and whose step is always the same work."""

    @property
    def cache(self) -> StaticCache:
        """Where it stands."""
        ...

    def begin(self, memory: Memory) -> None:
        """Begin it for what was read, in no more rows and no longer than its sizes say."""
        ...

    def step(self, tokens: Tensor, parents: Tensor) -> Tensor:
        """Tokens and parents (B, K), as in a ``Step``, to hidden states (B, K, D).

        It asks the device for nothing, and what it computes has the same shape at every step.
        """
        ...


def static_search(network: TrainableNetwork, sizes: StaticSizes) -> StaticSearch:
    """Return room for searches of so many rows, beams and tokens, over memories of one length.

    Raises:
        TypeError: The network is neither of this project's two.
        ValueError: It has fewer positions than there may be tokens.
    """
    if isinstance(network, Seq2Seq):
        return _OfSeq2Seq(network, sizes)
    if isinstance(network, CausalLM):
        return _OfCausal(network, sizes)
    raise TypeError(f"network is a {type(network).__name__}, expected a Seq2Seq or a CausalLM")


def memory_length(memory: Memory) -> int:
    """Return how many encoder states there are, or vectors and tokens of picture and context.

    Raises:
        TypeError: It is the memory of no such network.
    """
    if isinstance(memory, States | CausalMemory):
        return memory.mask.shape[1]
    raise TypeError(f"memory is a {type(memory).__name__}, expected what a network has read")


class _OfSeq2Seq:
    def __init__(self, network: Seq2Seq, sizes: StaticSizes) -> None:
        positions = network.config.num_positions
        if sizes.max_tokens > positions:
            raise ValueError(
                f"{sizes.max_tokens} tokens, but the network has {positions} positions"
            )
        self._network = network
        self.cache = network.decoder.static_cache(sizes, network.embeddings.weight)

    def begin(self, memory: Memory) -> None:
        if not isinstance(memory, States):
            raise TypeError(f"memory is a {type(memory).__name__}, expected States")
        self._network.decoder.begin(memory.states, memory.mask, self.cache)

    def step(self, tokens: Tensor, parents: Tensor) -> Tensor:
        return self._network.advance(tokens, parents, self.cache)


class _OfCausal:
    def __init__(self, network: CausalLM, sizes: StaticSizes) -> None:
        self._network = network
        self.cache = StaticPrefix(sizes, network.config, like=network.embeddings.weight)

    def begin(self, memory: Memory) -> None:
        if not isinstance(memory, CausalMemory):
            raise TypeError(f"memory is a {type(memory).__name__}, expected a CausalMemory")
        self.cache.begin(memory)

    def step(self, tokens: Tensor, parents: Tensor) -> Tensor:
        return self._network.advance(tokens, parents, self.cache)
