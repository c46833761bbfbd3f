"""The random networks that ``decode.py`` and ``curves.py`` measure, as checkpoints on disk.

A checkpoint is drawn once and read by every engine in its own way, so that no engine is timed while
another draws weights.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from openmmb.checkpoint import (
    WEIGHTS,
    Checkpoint,
    CheckpointConfig,
    new_network,
    save_checkpoint,
)
from openmmb.data.encode import EncodeConfig
from openmmb.model.causal_config import CausalConfig
from openmmb.model.config import SIZES, ModelConfig
from openmmb.search.config import SearchConfig
from openmmb.text.tokenizer import train_tokenizer

BEAMS, SHORTEST, NGRAM, PENALTY = 10, 20, 3, 0.65
START, END = 1, 2
CAUSAL = "135M"
"""The decoder-only network, of SmolLM2's shape."""
SEES = "2.7B"
"""The size whose contexts come with pictures; peers have none, so they leave it out."""
NAMES = (*SIZES, CAUSAL)


def shape_of(size: str) -> ModelConfig | CausalConfig:
    """Return the shape of a size; without pictures, which the peers do not have, but for one."""
    if size == CAUSAL:
        return CausalConfig()
    shape = SIZES[size]
    return shape if size == SEES else replace(shape, num_segments=0, image_vectors=1, image_dim=1)


def config_of(steps: int, *, beams: int = BEAMS) -> SearchConfig:
    """Return the search that every engine does; its replies have ``steps`` tokens."""
    return SearchConfig(
        beam_size=beams,
        min_length=min(SHORTEST, steps - 1),
        max_length=steps,
        block_ngram=NGRAM,
        block_context_ngram=NGRAM,
        length_penalty=PENALTY,
    )


def prepare(size: str, folder: Path) -> Path:
    """Draw a network unless it was drawn before, and return the folder of its checkpoint.

    The largest is stored in 16 bits, as published weights are. Embeddings are larger than those of
    an untrained network, so that next tokens differ in probability and the order of two beams is
    not decided by the last digit.
    """
    checkpoint = folder / size
    if (checkpoint / WEIGHTS).exists():
        return checkpoint
    shape, half = shape_of(size), size == SEES
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float16 if half else torch.float32)
    model = new_network(shape)
    torch.set_default_dtype(torch.float32)
    model.initialise()
    with torch.no_grad():
        model.embeddings.weight.mul_(4)
    causal = size == CAUSAL
    settings = CheckpointConfig(
        name=size,
        encoder="none",
        model=shape,
        encode=EncodeConfig(layout="turns") if causal else EncodeConfig(),
        search=SearchConfig(),
    )
    words = train_tokenizer(["ids are all that is searched for"], vocab_size=300)
    save_checkpoint(
        Checkpoint(config=settings, model=model.eval(), tokenizer=words),
        checkpoint,
        precision="fp16" if half else "fp32",
    )
    return checkpoint


def contexts(size: str, batch: int, length: int) -> Tensor:
    """Return (batch, length) token ids, the same for every engine."""
    source = torch.Generator().manual_seed(1)
    ids = torch.randint(4, shape_of(size).vocab_size, (batch, length), generator=source)
    ids[:, -1] = END
    return ids


def weights_a_step(size: str) -> int:
    """Return how many weights a step of a search reads: the decoder's matrices and the head."""
    shape = shape_of(size)
    D, F = shape.embed_dim, shape.ffn_dim
    if isinstance(shape, CausalConfig):
        heads = shape.num_heads * 2 + shape.num_kv_heads * 2
        layers = shape.num_layers * (D * shape.head_dim * heads + 3 * D * F)
    else:  # of attention over the context, queries and the output alone: the rest is read once
        layers = shape.num_decoder_layers * (6 * D * D + 2 * D * F)
    return layers + shape.vocab_size * D
