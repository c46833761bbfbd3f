"""What every network of this project does, whatever it is inside.

Sizes: B rows, S context tokens, I image vectors, F features in each, T reply tokens, K beams a
row, D model width, V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

Step = Callable[[Tensor, Tensor], Tensor]
"""One step of a search: the newest token of each beam (B, K) and the beam of the step before that
each continues (B, K), to numbers (B, K, ...), which are good until the next step."""


class Memory(Protocol):
    """What a network keeps of contexts and pictures; only the network that made it looks inside."""

    def __len__(self) -> int:
        """Return the number of rows (B)."""
        ...


class Network(Protocol):
    """A network that reads and predicts; what evaluation and a search need of it."""

    @property
    def vocab_size(self) -> int:
        """V."""
        ...

    @property
    def device(self) -> torch.device:
        """Where its inputs must be."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """What image vectors must be."""
        ...

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
        ...

    def read(
        self,
        context: Tensor,
        context_mask: Tensor,
        image: Tensor | None = None,
        has_image: Tensor | None = None,
    ) -> Memory:
        """Read contexts and pictures.

        Args:
            context: (B, S) int64, padded on the right.
            context_mask: (B, S) bool, True at real tokens.
            image: (B, I, F) float; anything where a row has no picture. A vector of zeros counts
                as none: a detector that finds fewer than I regions fills up with them. None, or
                I = 0: no row has one.
            has_image: (B,) bool; None: every row has one.
        """
        ...

    def predict(
        self, reply: Tensor, memory: Memory, start_id: int, blocks: Tensor | None = None
    ) -> Tensor:
        """Return hidden states (B, T, D), each predicting the token of ``reply`` (B, T) there.

        Args:
            reply: (B, T) int64.
            memory: What was read.
            start_id: Comes before every reply.
            blocks: (B, T) int64, for several replies to one context side by side: tokens in a row
                with the same number are one reply. None: each row is one.

        Raises:
            ValueError: There are blocks, and the network cannot predict several replies at once.
        """
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        ...

    def stepper(self, memory: Memory, *, num_beams: int, max_tokens: int) -> Step:
        """Begin a search and return its step, which gives logits (B, K, V) in float32.

        Args:
            memory: What was read.
            num_beams: K.
            max_tokens: Most steps that will be taken.
        """
        ...


class TrainableNetwork(nn.Module, ABC):
    """A ``Network`` with weights that can be trained, saved and loaded.

    ``embeddings`` gives the vectors of its tokens, and its device and precision with them.
    """

    embeddings: nn.Embedding

    def forward(
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
        memory = self.read(context, context_mask, image, has_image)
        return self.predict(reply, memory, start_id, blocks)

    @abstractmethod
    def read(
        self,
        context: Tensor,
        context_mask: Tensor,
        image: Tensor | None = None,
        has_image: Tensor | None = None,
    ) -> Memory:
        """Read contexts and pictures, as ``Network.read`` says."""

    @abstractmethod
    def predict(
        self, reply: Tensor, memory: Memory, start_id: int, blocks: Tensor | None = None
    ) -> Tensor:
        """Return hidden states (B, T, D), as ``Network.predict`` says."""

    @abstractmethod
    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""

    @abstractmethod
    def initialise(self) -> None:
        """Draw the weights that training starts from; until then, or loading, there are none."""

    @abstractmethod
    def hidden_stepper(self, memory: Memory, *, num_beams: int, max_tokens: int) -> Step:
        """Begin a search and return its step, which gives hidden states (B, K, D)."""

    def stepper(self, memory: Memory, *, num_beams: int, max_tokens: int) -> Step:
        """Begin a search and return its step, which gives logits (B, K, V) in float32."""
        hidden = self.hidden_stepper(memory, num_beams=num_beams, max_tokens=max_tokens)
        return lambda tokens, parents: self.logits(hidden(tokens, parents)).float()

    @property
    def output_weight(self) -> str:
        """Name of the weight (V, D) that ``logits`` multiplies by."""
        return "embeddings.weight"

    @property
    def vocab_size(self) -> int:
        """V."""
        return self.embeddings.num_embeddings

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embeddings.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return self.embeddings.weight.dtype

    def num_parameters(self) -> int:
        """Count the weights, tied ones once."""
        return sum(weight.numel() for weight in self.parameters())
