"""Multi-Modal BlenderBot's network: an encoder of context and picture, a decoder of the reply.

Sizes: B rows, S context tokens, I image vectors, F features in each, R states that a vector
becomes, T reply tokens, K beams a row, D model width, V vocabulary.
"""

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from openmmb.model.cache import DecoderCache
from openmmb.model.config import ModelConfig
from openmmb.model.decoder import Decoder
from openmmb.model.encoder import Encoder
from openmmb.model.fusion import ImageProjector
from openmmb.model.initial import initialise
from openmmb.model.linear import Embedding, Linear, LinearFactory
from openmmb.model.network import Memory, Step, TrainableNetwork
from openmmb.model.static_cache import StaticStates


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
    """Encoder and decoder with one embedding table for input and output.

    Its weights are to be loaded, or drawn by ``initialise``.
    """

    def __init__(self, config: ModelConfig, linear: LinearFactory = Linear) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embedding(config.vocab_size, config.embed_dim)
        self.encoder = Encoder(
            config,
            config.num_encoder_layers,
            linear,
            projector=ImageProjector(config, linear),
            fusion=config.fusion,
        )
        self.decoder = Decoder(config, linear)
        self.scale = math.sqrt(config.embed_dim) if config.scale_embeddings else 1.0

    def initialise(self) -> None:
        """Draw the weights that training starts from."""
        initialise(self)

    def read(
        self,
        context: Tensor,
        context_mask: Tensor,
        image: Tensor | None = None,
        has_image: Tensor | None = None,
    ) -> States:
        """Read contexts and pictures, as ``Network.read`` says."""
        words = self._embed(context)
        if image is None or not image.shape[1]:
            return States(*self.encoder(words, context_mask))
        image_mask = image.any(-1)
        if has_image is not None:
            image_mask = image_mask & has_image[:, None]
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
        return lambda tokens, parents: self.advance(tokens, parents, cache)

    def advance(
        self, tokens: Tensor, parents: Tensor, cache: DecoderCache | StaticStates
    ) -> Tensor:
        """Take one step of a search -> (B, K, D); ``cache`` is changed in place."""
        return self.decoder.step(self._embed(tokens), parents, cache)

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.embeddings(ids)
        return embedded * self.scale


def _own(memory: Memory) -> States:
    if not isinstance(memory, States):
        raise TypeError(f"memory is a {type(memory).__name__}, expected what this network has read")
    return memory
