"""Sums and maxima over a vocabulary, by pieces that a CPU's cache holds.

PyTorch's own functions read all beams' logits from memory for every operation, and sort whole rows
with their indices. On other devices they are used as they are.

Sizes: B inputs, K beams, V vocabulary.
"""

import torch
from torch import Tensor

PIECE = 2**18
"""Numbers that are processed together: 1 MB of float32."""
LEAST = -80.0
"""What is further below the maximum adds nothing to a float32 sum, but an exponential below
float32's normal range, zero included, takes at least 15 times as long as another."""
BLOCK = 64
"""Neighbours of which only the highest is looked at first."""


def log_sum_exp(logits: Tensor) -> Tensor:
    """(B, K, V) -> (B, K, 1), the logarithm of the sum of the exponentials; maxima are finite."""
    if logits.device.type != "cpu":
        return logits.logsumexp(-1, keepdim=True)
    pieces = torch.split(logits.flatten(0, 1), max(1, PIECE // logits.shape[-1]))
    return torch.cat([_log_sum_exp(piece) for piece in pieces]).view(*logits.shape[:2], 1)


def _log_sum_exp(piece: Tensor) -> Tensor:
    maxima = piece.amax(-1, keepdim=True)
    total = (piece - maxima).clamp_min_(LEAST).exp_().sum(-1, keepdim=True)
    return total.log_().add_(maxima)


def highest(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the ``count`` highest of each row and where they are, (B, K, count) each, best first.

    None of them can be outside the ``count`` blocks with the highest maxima, so only those are
    sorted. Which of equals comes first, and which is left out, is not defined, as in PyTorch.
    """
    size = logits.shape[-1]
    whole = size - size % BLOCK
    if logits.device.type != "cpu" or whole < 2 * BLOCK * count:
        values, ids = logits.topk(min(count, size), dim=-1)
        return values, ids
    maxima = logits[..., :whole].reshape(*logits.shape[:2], -1, BLOCK).amax(-1)
    blocks = maxima.topk(count, dim=-1, sorted=False).indices
    indices = (blocks[..., None] * BLOCK + torch.arange(BLOCK)).flatten(-2)
    rest = torch.arange(whole, size).expand(*indices.shape[:-1], -1)
    indices = torch.cat([indices, rest], dim=-1)
    values, at = logits.gather(-1, indices).topk(count, dim=-1)
    return values, indices.gather(-1, at)
