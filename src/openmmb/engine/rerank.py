"""Hypotheses in a new order: what could be said anywhere falls behind what answers this.

Sizes: N hypotheses of all examples, T reply tokens, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor

from openmmb.data.batch import collate
from openmmb.data.encode import encode_found
from openmmb.data.example import Example
from openmmb.engine.open import Engine
from openmmb.search.config import SearchConfig
from openmmb.search.hypothesis import Hypothesis, length_divisor

TOGETHER = 256
"""Tokens whose logits are in memory together."""


def rerank(
    engine: Engine,
    examples: Sequence[Example],
    hypotheses: Sequence[Sequence[Hypothesis]],
    config: SearchConfig,
) -> list[list[Hypothesis]]:
    """Take a share of each hypothesis's log-probability without its context off its score.

    That log-probability is the model's own where nothing was said, no picture is shown and there is
    no persona; style and control stay. It is high for "I don't know." This is the maximum mutual
    information criterion of Li et al. (2016, section 4.5.1, MMI-antiLM) over what a search found,
    where the whole of a hypothesis counts.

    Args:
        engine: What found them.
        examples: What was answered.
        hypotheses: For each example what the search found, best first.
        config: With ``prior_weight``; as many hypotheses as it has beams are kept.

    Returns:
        For each example the best by the new score, best first.
    """
    kept = [list(islice(listed, config.num_beams)) for listed in hypotheses]
    asked = [
        (example, hypothesis.tokens)
        for example, listed in zip(examples, kept, strict=True)
        for hypothesis in listed
    ]
    priors = iter(_log_probabilities(engine, asked).tolist())
    scored = [[_without(one, next(priors), config) for one in listed] for listed in kept]
    return [sorted(listed, key=lambda one: one.score, reverse=True) for listed in scored]


def _without(hypothesis: Hypothesis, prior: float, config: SearchConfig) -> Hypothesis:
    divisor = float(length_divisor(len(hypothesis.tokens) + 2, config.length_penalty))
    score = hypothesis.score - config.prior_weight * prior / divisor
    return replace(hypothesis, score=score)


def _log_probabilities(engine: Engine, asked: Sequence[tuple[Example, tuple[int, ...]]]) -> Tensor:
    """Return the log-probability (N,) of each reply without its context."""
    tokenizer, sizes = engine.tokenizer, engine.config.model
    rows = [
        encode_found(
            replace(example, context=(), persona=(), objects=(), image_id=None),
            tokens,
            tokenizer,
            engine.config.encode,
        )
        for example, tokens in asked
    ]
    batch = collate(
        rows,
        [None] * len(rows),
        pad_id=tokenizer.pad_id,
        image_shape=(sizes.image_vectors, sizes.image_dim),
    ).to(engine.device)
    image = batch.image.to(engine.dtype)
    memory = engine.read(batch.context, batch.context_mask, image, batch.has_image)
    hidden = engine.predict(batch.reply, memory, tokenizer.start_id)
    of_tokens = torch.zeros(batch.reply.shape, device=engine.device)
    of_tokens[batch.target_mask] = torch.cat(
        [
            _chances(engine, states, tokens)
            for states, tokens in zip(
                torch.split(hidden[batch.target_mask], TOGETHER),
                torch.split(batch.reply[batch.target_mask], TOGETHER),
                strict=True,
            )
        ]
    )
    return of_tokens.sum(-1)


def _chances(engine: Engine, states: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-probability (M,) of each token after its hidden state (M, D)."""
    logits = engine.logits(states).float()
    logits[:, engine.tokenizer.unsaid_ids()] = -torch.inf
    return logits.log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
