"""Multi-Modal BlenderBot's network: an encoder of context and picture, a decoder of the reply.

Sizes: B rows, S context tokens, I image vectors, F features in each, R states that a vector
becomes, T reply tokens, K beams a row, D model width, V vocabulary.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmmb.model.config import ModelConfig
from openmmb.model.decoder import Decoder
from openmmb.model.encoder import Encoder, no_image
from openmmb.model.network import Memory, Step, TrainableNetwork


@dataclass(frozen=True, slots=True)
class States:
    """What the encoder makes of contexts and pictures.

    Attributes:
        states: (B, S+I*R, D).
        mask: (B, S+I*R) bool, True at what counts.
    """

    states: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.states)


class Seq2Seq(TrainableNetwork):
    """Encoder and decoder with one embedding table for input and output."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = nn.Embedding(config.vocab_size, config.embed_dim)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.scale = math.sqrt(config.embed_dim) if config.scale_embeddings else 1.0
        self.apply(_initialise)

    def read(
        self,
        context: Tensor,
        context_mask: Tensor,
        image: Tensor | None = None,
        has_image: Tensor | None = None,
    ) -> States:
        """Read contexts and pictures, as ``Network.read`` says."""
        words = self._embed(context)
        if image is None:
            image, image_mask = no_image(len(context), words, self.config.image_dim)
        else:
            if has_image is None:
                has_image = context.new_ones(len(context), dtype=torch.bool)
            image_mask = has_image[:, None] & image.any(-1)
        return States(*self.encoder(words, context_mask, image, image_mask))

    def predict(
        self, reply: Tensor, memory: Memory, start_id: int, blocks: Tensor | None = None
    ) -> Tensor:
        """Return hidden states (B, T, D), each predicting the token of ``reply`` (B, T) there."""
        if blocks is not None:
            raise ValueError("blocks: the decoder predicts one reply to a context; expected None")
        own = _own(memory)
        before = F.pad(reply[:, :-1], (1, 0), value=start_id)
        hidden: Tensor = self.decoder(self._embed(before), own.states, own.mask)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        return F.linear(hidden, self.embeddings.weight)

    def hidden_stepper(self, memory: Memory, *, num_beams: int, max_tokens: int) -> Step:
        """Begin a search and return its step, which gives hidden states (B, K, D).

        Encoder keys and values are computed once per input and shared by its beams.
        """
        own = _own(memory)
        cache = self.decoder.start(own.states, own.mask, num_beams=num_beams, max_tokens=max_tokens)
        return lambda tokens, parents: self.decoder.step(self._embed(tokens), parents, cache)

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.embeddings(ids)
        return embedded * self.scale


def _own(memory: Memory) -> States:
    if not isinstance(memory, States):
        raise TypeError(f"memory is a {type(memory).__name__}, expected what this network has read")
    return memory


def _initialise(module: nn.Module) -> None:
    """Random weights as ParlAI starts from: Xavier for products, width**-0.5 for embeddings."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
