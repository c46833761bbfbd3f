"""The plain engine: PyTorch's own layers in float32, on any device."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from openmmb.checkpoint import Checkpoint, CheckpointConfig, SavedCheckpoint, new_network
from openmmb.model.network import Memory, Step, TrainableNetwork
from openmmb.text.tokenizer import Tokenizer


class Head(Protocol):
    """The product that turns hidden states into logits."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """(..., D) -> (..., V)."""
        ...

    def for_rows(self, rows: int) -> Callable[[Tensor], Tensor]:
        """Return it for so many rows; what it computes is good until it is next called."""
        ...


class NetworkEngine:
    """A network made ready to answer: it computes what the network does, and that is all.

    Args:
        network: With weights that nobody trains or saves any more.
        checkpoint: What it was opened from.
        head: Gives logits in place of the network; None: the network does.
    """

    def __init__(
        self,
        network: TrainableNetwork,
        checkpoint: Checkpoint | SavedCheckpoint,
        *,
        head: Head | None = None,
    ) -> None:
        self._network = network.eval().requires_grad_(requires_grad=False)
        self._head = head
        self._config, self._tokenizer = checkpoint.config, checkpoint.tokenizer

    def __reduce__(self) -> str:
        """Refuse to be copied, and to be pickled for another process.

        Raises:
            TypeError: Always: what the weights were packed into belongs to this process.
        """
        raise TypeError(
            f"a {type(self).__name__} can be neither copied nor pickled; open its checkpoint "
            "again, with openmmb.load(folder) or open_engine, and share it between threads"
        )

    @property
    def config(self) -> CheckpointConfig:
        """What the checkpoint says about itself."""
        return self._config

    @property
    def tokenizer(self) -> Tokenizer:
        """Its vocabulary."""
        return self._tokenizer

    @property
    def vocab_size(self) -> int:
        """V."""
        return self._network.vocab_size

    @property
    def device(self) -> torch.device:
        """Where its inputs must be."""
        return self._network.device

    @property
    def dtype(self) -> torch.dtype:
        """What image vectors must be."""
        return self._network.dtype

    def __call__(
        self,
        context: Tensor,
        context_mask: Tensor,
        image: Tensor | None,
        has_image: Tensor | None,
        reply: Tensor,
        start_id: int,
        blocks: Tensor | None = None,
    ) -> Tensor:
        """Read, then predict a whole reply -> (B, T, D)."""
        hidden: Tensor = self._network(
            context, context_mask, image, has_image, reply, start_id, blocks
        )
        return hidden

    def read(
        self,
        context: Tensor,
        context_mask: Tensor,
        image: Tensor | None = None,
        has_image: Tensor | None = None,
    ) -> Memory:
        """Read contexts and pictures, as ``Network.read`` says."""
        return self._network.read(context, context_mask, image, has_image)

    def predict(
        self, reply: Tensor, memory: Memory, start_id: int, blocks: Tensor | None = None
    ) -> Tensor:
        """Return hidden states (B, T, D), as ``Network.predict`` says."""
        return self._network.predict(reply, memory, start_id, blocks)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        if self._head is None:
            return self._network.logits(hidden)
        return self._head(hidden)

    def stepper(self, memory: Memory, *, num_beams: int, max_tokens: int) -> Step:
        """Begin a search and return its step, as ``Network.stepper`` says."""
        if self._head is None:
            return self._network.stepper(memory, num_beams=num_beams, max_tokens=max_tokens)
        hidden = self._network.hidden_stepper(memory, num_beams=num_beams, max_tokens=max_tokens)
        head = self._head.for_rows(len(memory) * num_beams)
        return lambda tokens, parents: head(hidden(tokens, parents)).float()


def open_plain(checkpoint: Checkpoint | SavedCheckpoint, device: torch.device) -> NetworkEngine:
    """Open an engine that computes as training does, on any device."""
    with torch.device("meta"):
        network = new_network(checkpoint.config.model)
    with checkpoint.weights() as weights:
        state = {name: weight.read().to(device, torch.float32) for name, weight in weights.items()}
    network.load_state_dict(state, assign=True)
    return NetworkEngine(network, checkpoint)
