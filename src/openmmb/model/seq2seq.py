"""The whole network: context and picture in, next-token logits out.

Sizes: B rows, S context tokens, I image vectors, F features in each, T reply tokens, K beams a
row, D model width, V vocabulary.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmmb.engine.panels import PanelLinear
from openmmb.model.config import ModelConfig
from openmmb.model.decoder import Decoder
from openmmb.model.encoder import Encoder, no_image


class Seq2Seq(nn.Module):
    """Multi-Modal BlenderBot's network, one embedding table for input and output."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = nn.Embedding(config.vocab_size, config.embed_dim)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.head: nn.Module | None = None  # output weights packed for a search
        self.scale = math.sqrt(config.embed_dim) if config.scale_embeddings else 1.0
        self.apply(_initialise)

    def forward(
        self,
        context: Tensor,
        context_mask: Tensor,
        image: Tensor | None,
        has_image: Tensor | None,
        reply: Tensor,
        start_id: int,
    ) -> Tensor:
        """Read and predict a whole reply: ``encode``, then ``decode`` -> (B, T, D)."""
        states, mask = self.encode(context, context_mask, image, has_image)
        return self.decode(reply, states, mask, start_id)

    def encode(
        self,
        context: Tensor,
        context_mask: Tensor,
        image: Tensor | None = None,
        has_image: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Read contexts and pictures.

        Args:
            context: (B, S) int64, padded on the right.
            context_mask: (B, S) bool, True at real tokens.
            image: (B, I, F) float; anything where a row has no picture. A vector of zeros counts
                as none: a detector that finds fewer than I regions fills up with them. None, or
                I = 0: no row has one.
            has_image: (B,) bool; None: every row has one.

        Returns:
            States (B, S+I, D) and their mask (B, S+I), True at what counts; an image vector is
            ``image_tokens`` of them.
        """
        words = self._embed(context)
        if image is None:
            image, image_mask = no_image(len(context), words, self.config.image_dim)
        else:
            if has_image is None:
                has_image = context.new_ones(len(context), dtype=torch.bool)
            image_mask = has_image[:, None] & image.any(-1)
        states, mask = self.encoder(words, context_mask, image, image_mask)
        return states, mask

    def decode(self, reply: Tensor, states: Tensor, states_mask: Tensor, start_id: int) -> Tensor:
        """Hidden states (B, T, D), each predicting the token of ``reply`` (B, T) at its place."""
        before = F.pad(reply[:, :-1], (1, 0), value=start_id)
        hidden: Tensor = self.decoder(self._embed(before), states, states_mask)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        return F.linear(hidden, self.embeddings.weight)

    def stepper(
        self, states: Tensor, states_mask: Tensor, *, num_beams: int, max_tokens: int
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Begin a search and return its step.

        The step takes the newest token of each beam (B, K) and the beam of the step before that
        each continues (B, K), and returns logits (B, K, V) in float32. Encoder keys and values
        are computed once per input and shared by its beams. Logits are good until the next step.
        """
        head: Callable[[Tensor], Tensor] = self.logits if self.head is None else self.head
        if isinstance(head, PanelLinear):
            head = partial(head, room=head.room(len(states) * num_beams))
        cache = self.decoder.start(states, states_mask, num_beams=num_beams, max_tokens=max_tokens)

        def step(tokens: Tensor, parents: Tensor) -> Tensor:
            hidden = self.decoder.step(self._embed(tokens), parents, cache)
            return head(hidden).float()

        return step

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.embeddings.weight.dtype

    def num_parameters(self) -> int:
        """Count the weights, the tied embeddings once."""
        return sum(weight.numel() for weight in self.parameters())

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.embeddings(ids)
        return embedded * self.scale


def _initialise(module: nn.Module) -> None:
    """Random weights as ParlAI starts from: Xavier for products, width**-0.5 for embeddings."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
