"""How wrong the network is about a reply.

Sizes: N tokens, V vocabulary.
"""

import torch.nn.functional as F
from torch import Tensor


def token_loss(logits: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Sum of the tokens' cross-entropies, in nats: a scalar.

    A sum, never a mean: batches, ranks and accumulation are divided once, by the count of all
    their tokens, which is also how ParlAI's perplexity is defined.

    Args:
        logits: (N, V).
        targets: (N,) int64.
        label_smoothing: Share of the target spread evenly over the vocabulary.
    """
    return F.cross_entropy(
        logits.float(), targets, reduction="sum", label_smoothing=label_smoothing
    )
