"""A decoder-only network: picture, context and reply are one sequence.

A picture's vectors stand before the words. A position counts only what is there, and nothing looks
at padding, so a row gives the same numbers whatever stands beside it in the batch.

Sizes: B rows, S context tokens, I image vectors, F features in each, M = I + S, T reply tokens,
K beams a row, D width, J heads of keys and values, E width of a head, V vocabulary.
"""

import torch
from torch import Tensor, nn

from openmmb.model.causal_config import CausalConfig
from openmmb.model.causal_layers import (
    CausalLayer,
    RMSNorm,
    WordTable,
    grouped,
    rotation_at,
)
from openmmb.model.causal_masks import looks_back, positions_of, reply_mask, shifted, whole_mask
from openmmb.model.causal_memory import CausalCache, CausalMemory, StaticPrefix
from openmmb.model.fusion import ImageProjector
from openmmb.model.linear import Linear, LinearFactory
from openmmb.model.network import Memory, Step, TrainableNetwork
from openmmb.model.stack import Stack


class CausalLM(TrainableNetwork):
    """A language model of the Llama family that sees pictures.

    Its weights are to be loaded, or drawn by ``initialise``.
    """

    def __init__(self, config: CausalConfig, linear: LinearFactory = Linear) -> None:
        super().__init__()
        self.config = config
        self.embeddings: WordTable = WordTable(config.vocab_size, config.embed_dim)
        self.image_projector = ImageProjector(config, linear)
        self.image_segment = nn.Parameter(torch.empty(config.embed_dim))
        self.layers = Stack(CausalLayer(config, linear) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.embed_dim, config.norm_eps)
        self.head = None if config.tied else Linear(config.embed_dim, config.vocab_size, bias=False)

    def initialise(self) -> None:
        """Draw the weights that training starts from: normal, as the published networks begin."""
        self.apply(_initialise)
        nn.init.zeros_(self.image_segment)

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
        """Do what ``read`` and then ``predict`` do, in one pass -> (B, T, D)."""
        x, prefix_mask = self._embed_prefix(context, context_mask, image, has_image)
        before, offsets = shifted(reply, start_id, blocks)
        positions = torch.cat(
            [positions_of(prefix_mask), prefix_mask.sum(1, keepdim=True) + offsets], dim=1
        )
        mask = whole_mask(prefix_mask, reply, blocks)
        x = torch.cat([x, self._embed(before)], dim=1)
        rotation = rotation_at(positions, self.config, x.dtype)
        x = self.layers.run(x, *rotation, self._grouped(mask))
        return self._norm_output(x[:, prefix_mask.shape[1] :])

    def read(
        self,
        context: Tensor,
        context_mask: Tensor,
        image: Tensor | None = None,
        has_image: Tensor | None = None,
    ) -> CausalMemory:
        """Read pictures and contexts, as ``Network.read`` says."""
        x, mask = self._embed_prefix(context, context_mask, image, has_image)
        rotation = rotation_at(positions_of(mask), self.config, x.dtype)
        looks = self._grouped(looks_back(mask))
        keys, values = [], []
        for layer in self._layers():
            q, k, v = layer.project(x, rotation)
            keys.append(k)
            values.append(v)
            x = layer.finish(x, q, k, v, looks)
        return CausalMemory(keys=keys, values=values, mask=mask)

    def predict(
        self, reply: Tensor, memory: Memory, start_id: int, blocks: Tensor | None = None
    ) -> Tensor:
        """Predict replies, as ``Network.predict`` says; blocks see nothing of each other."""
        memory = _own(memory)
        before, offsets = shifted(reply, start_id, blocks)
        x = self._embed(before)
        positions = memory.next_position[:, None] + offsets
        rotation = rotation_at(positions, self.config, x.dtype)
        looks = self._grouped(reply_mask(memory.mask, reply, blocks))
        for layer, past_keys, past_values in zip(
            self._layers(), memory.keys, memory.values, strict=True
        ):
            q, k, v = layer.project(x, rotation)
            k, v = torch.cat([past_keys, k], dim=2), torch.cat([past_values, v], dim=2)
            x = layer.finish(x, q, k, v, looks)
        return self._norm_output(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        if self.head is None:
            return self.embeddings.scores(hidden)
        logits: Tensor = self.head(hidden)
        return logits

    def hidden_stepper(self, memory: Memory, *, num_beams: int, max_tokens: int) -> Step:
        """Begin a search and return its step, which gives hidden states (B, K, D).

        Keys and values of the context are shared by the beams of an input.
        """
        cache = CausalCache(
            _own(memory), self.config, num_beams=num_beams, max_tokens=max_tokens, dtype=self.dtype
        )
        return lambda tokens, parents: self.advance(tokens, parents, cache)

    def advance(self, tokens: Tensor, parents: Tensor, cache: CausalCache | StaticPrefix) -> Tensor:
        """Take one step of a search -> (B, K, D); ``cache`` is changed in place."""
        rotation, looks = cache.rotation, self._grouped(cache.advance(parents))
        x = self._embed(tokens)
        for index, layer in enumerate(self._layers()):
            q, k, v = layer.project(x, rotation)
            x = layer.finish(x, q, *cache.write(index, k, v), looks)
        cache.close()
        return self._norm_output(x)

    @property
    def output_weight(self) -> str:
        """Name of the weight (V, D) that ``logits`` multiplies by."""
        return super().output_weight if self.head is None else "head.weight"

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.embeddings(ids)
        return embedded

    def _embed_prefix(
        self, context: Tensor, context_mask: Tensor, image: Tensor | None, has_image: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return what is read, (B, M, D), and its mask (B, M)."""
        words = self._embed(context)
        # Without a picture the projector stays out of it: no gradient at all.
        if image is None or not image.shape[1]:
            return words, context_mask
        image_mask = image.any(-1)
        if has_image is not None:
            image_mask = image_mask & has_image[:, None]
        # Its precision is its own: it is trained where the words' is half and frozen.
        projected = self.image_projector(image.to(self.image_segment.dtype)) + self.image_segment
        x = torch.cat([projected.to(words.dtype), words], dim=1)
        return x, torch.cat([image_mask, context_mask], dim=1)

    def _grouped(self, mask: Tensor) -> Tensor:
        return grouped(mask, self.config.num_heads // self.config.num_kv_heads)

    def _layers(self) -> list[CausalLayer]:
        return [layer for layer in self.layers if isinstance(layer, CausalLayer)]

    def _norm_output(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(x)
        return normed


def _own(memory: Memory) -> CausalMemory:
    if not isinstance(memory, CausalMemory):
        raise TypeError(f"memory is a {type(memory).__name__}, expected what this network has read")
    return memory


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, RMSNorm):
        nn.init.ones_(module.weight)
