"""Going on with what is likeliest.

Sizes: B inputs, K beams, V vocabulary.
"""

import torch
from torch import Tensor

from openmmb.search.hypothesis import Choice
from openmmb.search.wide import highest


def choose_best(logits: Tensor, log_total: Tensor, scores: Tensor) -> Choice:
    """Keep the K likeliest continuations of all beams of an input together.

    The K best of each beam are looked for before those of the input: no others can win, and the
    log-probabilities of the rest of the vocabulary are never written.

    Args:
        logits: (B, K, V) float.
        log_total: (B, K, 1), log of the sum of the exponentials before anything was banned.
        scores: (B, K), log-probability of the hypotheses so far.
    """
    num_beams = logits.shape[1]
    values, ids = highest(logits, num_beams)
    width = ids.shape[-1]
    totals = values - log_total + scores[..., None]
    best, at = totals.flatten(1).topk(num_beams, dim=-1)
    return Choice(parents=at // width, tokens=ids.flatten(1).gather(1, at), scores=best)


def choose_likeliest(logits: Tensor, log_total: Tensor, scores: Tensor) -> Choice:
    """Let every beam continue itself with its likeliest token, the first of equals.

    Takes what ``choose_best`` takes.
    """
    values, tokens = logits.max(-1)
    parents = torch.arange(scores.shape[1], device=scores.device).expand(scores.shape)
    return Choice(parents=parents, tokens=tokens, scores=values - log_total[..., 0] + scores)
