"""How wrong the network is about a reply.

Sizes: N tokens, B rows, T reply tokens, D model width, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from openmmb.model.lean import cross_entropy


def token_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    banned_ids: Sequence[int] = (),
) -> Tensor:
    """Sum of the tokens' cross-entropies, in nats: a scalar.

    A sum, never a mean: batches, ranks and accumulation are divided once, by the count of all
    their tokens, which is also how ParlAI's perplexity is defined.

    Args:
        logits: (N, V).
        targets: (N,) int64.
        label_smoothing: Share of the target spread evenly over what is not banned.
        banned_ids: Tokens that are never a target and get no probability, as in a search. They
            learn nothing from being wrong: controls whose only lesson is that they are never said
            grow alike, and then steer nothing.
    """
    banned = torch.tensor(banned_ids, dtype=torch.int64, device=logits.device)
    return cross_entropy(logits, targets, label_smoothing, banned)


def reply_loss(
    logits: Callable[[Tensor], Tensor],
    hidden: Tensor,
    reply: Tensor,
    target_mask: Tensor,
    *,
    label_smoothing: float = 0.0,
    banned_ids: Sequence[int] = (),
) -> tuple[Tensor, int]:
    """Return the summed cross-entropy of replies' tokens, and how many there are.

    Args:
        logits: Hidden states (N, D) to (N, V).
        hidden: What a network predicts (B, T, D).
        reply: (B, T) int64.
        target_mask: (B, T) bool, True at the tokens to be predicted.
        label_smoothing: See ``token_loss``.
        banned_ids: See ``token_loss``.
    """
    targets = reply[target_mask]
    loss = token_loss(
        logits(hidden[target_mask]), targets, label_smoothing=label_smoothing, banned_ids=banned_ids
    )
    return loss, len(targets)


def perplexity(loss: float, tokens: int) -> float:
    """Return exp(loss / tokens), at most exp(700), which a float still holds."""
    return math.exp(min(loss / max(1, tokens), 700.0))  # in this order a NaN stays one
