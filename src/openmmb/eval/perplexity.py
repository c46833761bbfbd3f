"""How wrong a network is about the replies of a batch."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from openmmb.data.batch import Batch
from openmmb.data.batcher import Batcher
from openmmb.data.example import Example
from openmmb.distributed import all_reduce_sum, rank, world_size
from openmmb.model.loss import token_loss
from openmmb.model.network import Network


def reply_loss(
    model: Network,
    batch: Batch,
    *,
    start_id: int,
    banned_ids: Sequence[int] = (),
    label_smoothing: float = 0.0,
) -> tuple[Tensor, int]:
    """Return the summed cross-entropy of a batch's reply tokens, and how many there are.

    Args:
        model: What predicts them.
        batch: At least one example.
        start_id: Stands before a reply.
        banned_ids: Tokens that no reply is made of.
        label_smoothing: Share of each target spread over the vocabulary.
    """
    hidden = model(
        batch.context, batch.context_mask, batch.image, batch.has_image, batch.reply, start_id
    )
    hidden, targets = hidden[batch.reply_mask], batch.reply[batch.reply_mask]
    loss = token_loss(
        model.logits(hidden), targets, label_smoothing=label_smoothing, banned_ids=banned_ids
    )
    return loss, len(targets)


@torch.no_grad()
def perplexity_of(
    model: Network, examples: Sequence[Example], batcher: Batcher, *, batch_size: int
) -> float:
    """Return the perplexity of the examples' replies, over all their tokens together.

    Several processes share the rows of each batch, and all return the same.
    """
    device = model.device
    total, count = 0.0, 0
    shards = batcher.batches(examples, batch_size=batch_size, rank=rank(), world_size=world_size())
    for shard in shards:
        loss, tokens = reply_loss(
            model,
            shard.rows.to(device),
            start_id=batcher.tokenizer.start_id,
            banned_ids=batcher.tokenizer.unsaid_ids(),
        )
        if shard.counts:
            total, count = total + loss.item(), count + tokens
    loss_sum, count_sum = all_reduce_sum([total, count])
    return perplexity(loss_sum, round(count_sum))


def perplexity(loss: float, tokens: int) -> float:
    """Return exp(loss / tokens), at most exp(700), which a float still holds."""
    return math.exp(min(loss / max(1, tokens), 700.0))  # in this order a NaN stays one
