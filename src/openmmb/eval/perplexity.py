"""How well a network predicts replies."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from openmmb.data.batch import Batch, Shard
from openmmb.distributed import all_reduce_sum
from openmmb.model.loss import perplexity, reply_loss
from openmmb.model.network import Network

Loss = Callable[[Batch], tuple[Tensor, int]]
"""The summed cross-entropy, in nats, of a batch's reply tokens, and how many there are."""


@torch.no_grad()
def perplexity_of(loss: Loss, shards: Iterable[Shard[Batch]], device: torch.device) -> float:
    """Return the perplexity of replies, over all their tokens together.

    Several processes share the rows of each batch, and all return the same.

    Args:
        loss: Of a network that is in evaluation mode.
        shards: This process's rows of each batch.
        device: Where batches go.
    """
    total, count = 0.0, 0
    for shard in shards:
        batch_loss, tokens = loss(shard.rows.to(device))
        if shard.counts:
            total, count = total + batch_loss.item(), count + tokens
    loss_sum, count_sum = all_reduce_sum([total, count])
    return perplexity(loss_sum, round(count_sum))


def loss_of(network: Network, *, start_id: int, banned_ids: Sequence[int] = ()) -> Loss:
    """Return the function that sums up how wrong a network is about the replies of a batch.

    Args:
        network: In evaluation mode.
        start_id: Stands before a reply.
        banned_ids: Tokens that no reply is made of.
    """

    def loss(batch: Batch) -> tuple[Tensor, int]:
        image = batch.image.to(network.dtype)
        memory = network.read(batch.context, batch.context_mask, image, batch.has_image)
        hidden = network.predict(batch.reply, memory, start_id, batch.side_by_side)
        return reply_loss(
            network.logits, hidden, batch.reply, batch.target_mask, banned_ids=banned_ids
        )

    return loss
