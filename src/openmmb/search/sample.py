"""Drawing how to go on, for each beam on its own.

Every input draws from a generator of its own, one call at each step for all its beams, and none
once it is done. A seed therefore gives the same replies whatever other inputs there are, and it
gives those of ParlAI, which takes the same random numbers for one input.

Sizes: B inputs, K beams, V vocabulary, W tokens to draw from.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from openmmb.search.constraints import BANNED
from openmmb.search.hypothesis import Choice


def draw_top_k(
    logits: Tensor,
    log_total: Tensor,
    scores: Tensor,
    top_k: int,
    *,
    done: Sequence[bool],
    generators: Sequence[torch.Generator] | None = None,
) -> Choice:
    """Draw one of the ``top_k`` likeliest tokens; the score adds its log-probability.

    Fan et al. 2018. The log-probability is that within the whole vocabulary.

    Args:
        logits: (B, K, V) float.
        log_total: (B, K, 1), log of the sum of the exponentials before anything was banned.
        scores: (B, K), log-probability of the hypotheses so far.
        top_k: W, no more than V of which are used.
        done: For each input, whether its search is over and nothing needs to be drawn.
        generators: One for each input; None draws from PyTorch's own, input after input.
    """
    values, ids = logits.topk(min(top_k, logits.shape[-1]), dim=-1)
    drawn = _draw(values.softmax(-1), done, generators)
    added = values.gather(-1, drawn) - log_total
    return _continue_each(ids.gather(-1, drawn), added, scores)


def draw_nucleus(
    logits: Tensor,
    scores: Tensor,
    top_p: float,
    *,
    done: Sequence[bool],
    generators: Sequence[torch.Generator] | None = None,
) -> Choice:
    """Draw one of the likeliest tokens that together reach probability ``top_p``.

    Holtzman et al. 2020. The token that crosses ``top_p`` belongs to them. The score adds the
    log-probability among them, as in ParlAI; where everything is banned the hypothesis is dead,
    which ParlAI's would survive.

    Args:
        logits: (B, K, V) float.
        scores: (B, K), log-probability of the hypotheses so far.
        top_p: Above 0, at most 1.
        done: For each input, whether its search is over and nothing needs to be drawn.
        generators: One for each input; None draws from PyTorch's own, input after input.
    """
    probs, ids = logits.softmax(-1).sort(dim=-1, descending=True)
    outside = probs.cumsum(-1) - probs >= top_p
    probs = probs.masked_fill(outside, 0)
    probs = probs / probs.sum(-1, keepdim=True)
    drawn = _draw(probs, done, generators)
    tokens = ids.gather(-1, drawn)
    alive = logits.gather(-1, tokens) > BANNED
    added = torch.where(alive, probs.gather(-1, drawn).log(), BANNED)
    return _continue_each(tokens, added, scores)


def _draw(
    probs: Tensor, done: Sequence[bool], generators: Sequence[torch.Generator] | None
) -> Tensor:
    """Draw from each row of (B, K, W): indices (B, K, 1).

    The largest of probabilities over exponential noise is a fair draw, and is how
    ``torch.multinomial`` draws one; doing it here saves that function's checks, each of which
    waits for the device.
    """
    noise = torch.ones_like(probs)
    for row, is_done in enumerate(done):
        if not is_done:
            noise[row].exponential_(generator=None if generators is None else generators[row])
    return (probs / noise).argmax(-1, keepdim=True)


def _continue_each(tokens: Tensor, added: Tensor, scores: Tensor) -> Choice:
    """Let every beam continue itself with ``tokens`` (B, K, 1)."""
    parents = torch.arange(scores.shape[1], device=scores.device).expand(scores.shape)
    return Choice(parents=parents, tokens=tokens[..., 0], scores=scores + added[..., 0])
