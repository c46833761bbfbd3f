"""A decoder-only network: picture, context and reply are one sequence.

A picture's vectors stand before the words. A position counts only what is there, and nothing looks
at padding, so a row gives the same numbers whatever stands beside it in the batch.

Sizes: B rows, S context tokens, I image vectors, F features in each, M = I + S, T reply tokens,
K beams a row, D width, J heads of keys and values, E width of a head, V vocabulary.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmmb.model.attention import additive_mask
from openmmb.model.cache import DecoderCache
from openmmb.model.causal_config import CausalConfig
from openmmb.model.causal_layers import (
    CausalLayer,
    RMSNorm,
    Rotation,
    WordTable,
    grouped,
    rotation_at,
)
from openmmb.model.fusion import ImageProjector
from openmmb.model.linear import Linear, LinearFactory
from openmmb.model.network import Memory, Step, TrainableNetwork
from openmmb.model.stack import Stack


@dataclass(frozen=True, slots=True)
class CausalMemory:
    """What a reply looks at: picture and context, read.

    Attributes:
        keys: For each layer (B, J, M, E).
        values: For each layer (B, J, M, E).
        mask: (B, M) bool, True at what counts.
    """

    keys: list[Tensor]
    values: list[Tensor]
    mask: Tensor

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def next_position(self) -> Tensor:
        """(B,) int64, where a reply begins."""
        return self.mask.sum(1)


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
        before, offsets = _shifted(reply, start_id, blocks)
        positions = torch.cat(
            [_positions(prefix_mask), prefix_mask.sum(1, keepdim=True) + offsets], dim=1
        )
        beyond = prefix_mask.new_zeros(*x.shape[:2], reply.shape[1])
        mask = torch.cat(
            [
                torch.cat([_looks_back(prefix_mask), beyond], dim=2),
                _reply_mask(prefix_mask, reply, blocks),
            ],
            dim=1,
        )
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
        rotation = rotation_at(_positions(mask), self.config, x.dtype)
        looks = self._grouped(_looks_back(mask))
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
        """Run over whole replies.

        Args:
            reply: (B, T) int64, padded on the right.
            memory: From ``read``.
            start_id: Comes before every reply.
            blocks: (B, T) int64, for several replies to one context side by side: tokens in a row
                with the same number are one reply, which begins with the start token and sees
                nothing of the others. None: each row is one reply.

        Returns:
            Hidden states (B, T, D), each predicting the token of ``reply`` at its place.
        """
        memory = _own(memory)
        before, offsets = _shifted(reply, start_id, blocks)
        x = self._embed(before)
        positions = memory.next_position[:, None] + offsets
        rotation = rotation_at(positions, self.config, x.dtype)
        looks = self._grouped(_reply_mask(memory.mask, reply, blocks))
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
        memory = _own(memory)
        slots, length = num_beams * max_tokens, memory.mask.shape[1]
        keys = [_with_room(k, slots) for k in memory.keys]
        values = [_with_room(v, slots) for v in memory.values]
        dtype = self.embeddings.weight.dtype
        cache = DecoderCache(
            cross=[],
            cross_mask=additive_mask(memory.mask[:, None, None], dtype),
            keys=[k[:, :, length:] for k in keys],
            values=[v[:, :, length:] for v in values],
            mask=memory.mask.new_zeros(len(memory.mask), num_beams, slots),
        )
        ahead = memory.next_position[:, None] + torch.arange(max_tokens, device=self.device)
        all_steps = rotation_at(ahead, self.config, dtype)

        def step(tokens: Tensor, parents: Tensor) -> Tensor:
            rotation = Rotation(*(part[:, cache.steps, None] for part in all_steps))
            own = cache.advance(parents)[:, 0]
            past = cache.cross_mask[:, 0].expand(-1, num_beams, -1)
            looks, end = self._grouped(torch.cat([past, own], dim=2)), length + own.shape[2]
            x = self._embed(tokens)
            for index, layer in enumerate(self._layers()):
                q, k, v = layer.project(x, rotation)
                cache.write(index, k, v)
                x = layer.finish(x, q, keys[index][:, :, :end], values[index][:, :, :end], looks)
            cache.close()
            return self._norm_output(x)

        return step

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


def _positions(mask: Tensor) -> Tensor:
    """(B, M), counting what is there; anything at padding."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def _looks_back(mask: Tensor) -> Tensor:
    """Mask (B, M) -> (B, M, M): each looks at what counts up to itself, padding at itself only.

    If padding looked at nothing, its weights would not be numbers.
    """
    itself = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    return (mask[:, None] & torch.ones_like(itself).tril()) | itself


def _reply_mask(memory_mask: Tensor, reply: Tensor, blocks: Tensor | None) -> Tensor:
    """(B, T, M + T), what the tokens of replies look at."""
    rows, length = reply.shape
    own = torch.ones(rows, length, length, dtype=torch.bool, device=reply.device).tril()
    if blocks is not None:
        own &= blocks[:, :, None] == blocks[:, None]
    return torch.cat([memory_mask[:, None].expand(-1, length, -1), own], dim=2)


def _shifted(reply: Tensor, start_id: int, blocks: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the token before each token of replies, and each one's place in its reply: (B, T)."""
    before = F.pad(reply[:, :-1], (1, 0), value=start_id)
    places = torch.arange(reply.shape[1], device=reply.device).expand_as(reply)
    if blocks is None:
        return before, places
    begins = F.pad(blocks[:, 1:] != blocks[:, :-1], (1, 0), value=True)
    first = places.masked_fill(~begins, 0).cummax(dim=1).values
    return before.masked_fill(begins, start_id), places - first


def _with_room(past: Tensor, slots: int) -> Tensor:
    """Copy keys or values (B, J, M, E) to the beginning of (B, J, M + slots, E)."""
    return F.pad(past, (0, 0, 0, slots))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, RMSNorm):
        nn.init.ones_(module.weight)
