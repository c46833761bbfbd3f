"""Replies to examples: encode, search, and back to words.

Sizes: B examples, I image vectors, F features in each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from openmmb.data.batch import collate, pad
from openmmb.data.encode import Encoded, encode_context, encode_prompt
from openmmb.data.example import Example
from openmmb.engine.open import Engine
from openmmb.engine.rerank import rerank
from openmmb.search.config import SearchConfig
from openmmb.search.constraints import Constraint
from openmmb.search.decode import search
from openmmb.text.normalize import tidy
from openmmb.threads import few_threads

UNCUT = 1_000_000
"""Tokens that no context reaches."""


@dataclass(frozen=True, slots=True)
class Generated:
    """One reply that a search found.

    Attributes:
        text: In words, on one line and without anything invisible.
        num_tokens: Its length, without the end token.
        score: Log-probability divided by the length penalty, where ``prior_weight`` is set less
            what that takes off; higher is better.
        finished: False where it was cut at the longest length, since nothing ended in time.
    """

    text: str
    num_tokens: int
    score: float
    finished: bool = True


@torch.inference_mode()
def generate(
    engine: Engine,
    examples: Sequence[Example],
    images: Sequence[Tensor | None],
    config: SearchConfig,
    *,
    rules: Sequence[Constraint] = (),
    generators: Sequence[torch.Generator] | None = None,
) -> list[list[Generated]]:
    """Find replies to examples, best first.

    Args:
        engine: What answers.
        examples: What to answer; their own replies are not looked at.
        images: For each its image vectors (I, F), or None.
        config: How to search; a reply never gets longer than the model has positions.
        rules: Further constraints, such as ``safety.ban.no_words``.
        generators: For the methods that draw, one for each example, on the engine's device: an
            example is then answered the same alone and beside any others. None is PyTorch's own.

    Raises:
        ValueError: A picture's vectors are not of the model's shape.
    """
    tokenizer, sizes = engine.tokenizer, engine.config.model
    shape = (sizes.image_vectors, sizes.image_dim)
    prompts = [encode_prompt(one, tokenizer, engine.config.encode) for one in examples]
    rows = [Encoded(prompt.context, reply=()) for prompt in prompts]
    batch = collate(rows, images, pad_id=tokenizer.pad_id, image_shape=shape)
    batch = batch.to(engine.device)
    image = batch.image.to(engine.dtype)
    config = _within(config, sizes.num_positions)
    with few_threads(sizes.embed_dim * sizes.ffn_dim * len(examples)):
        memory = engine.read(batch.context, batch.context_mask, image, batch.has_image)
        candidates = search(
            engine.stepper(memory, num_beams=config.num_beams, max_tokens=config.max_length),
            _uncut(engine, examples).to(engine.device)
            if config.block_full_context
            else batch.context,
            config,
            start_id=torch.tensor([prompt.start_id for prompt in prompts]),
            end_id=tokenizer.end_id,
            banned_ids=tokenizer.unsaid_ids(),
            rules=rules,
            generators=generators,
        )
        if config.prior_weight:
            candidates = rerank(engine, examples, candidates, config)
    return [
        [
            Generated(tidy(tokenizer.decode(h.tokens)), len(h.tokens), h.score, h.finished)
            for h in hypotheses
        ]
        for hypotheses in candidates
    ]


def _uncut(engine: Engine, examples: Sequence[Example]) -> Tensor:
    """Return contexts (B, S) with what was cut off before the model read them."""
    encoding = replace(engine.config.encode, max_context=UNCUT)
    rows = [encode_context(example, engine.tokenizer, encoding) for example in examples]
    return pad(rows, engine.tokenizer.pad_id)[0]


def _within(config: SearchConfig, num_positions: int) -> SearchConfig:
    longest = min(config.max_length, num_positions)
    shortest = min(config.min_length, longest - 1)
    return replace(config, max_length=longest, min_length=shortest)
