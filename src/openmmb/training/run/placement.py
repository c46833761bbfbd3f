"""A network is brought to where it is trained: one device, or one for each of several processes."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from openmmb.checkpoint import DTYPES, Precision
from openmmb.distributed import (
    broadcast_object,
    is_main,
    local_share,
    shard_model,
    to_local,
    world_size,
)
from openmmb.model.stack import Stack


def place(
    model: nn.Module,
    device: torch.device,
    *,
    precision: Precision,
    memory_efficient: bool,
    recompute: bool,
) -> None:
    """Bring a network, in place, to where and how it will be trained.

    Of several processes only the first needs to have its weights, and all get those, bit for bit.
    The others never have more of them than their shares and one weight whole.

    Args:
        model: In fp32; all it holds is in its ``state_dict``. On the CPU, or without memory (on
            the ``meta`` device): if that of the first process is, the weights will be anything.
        device: Of this process.
        precision: Of the products.
        memory_efficient: Keep the weights in ``precision`` too.
        recompute: Compute layers again for the gradient instead of keeping what they computed.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    narrow = precision != "fp32"
    if memory_efficient:
        model.to(DTYPES[precision])
    for part in model.modules():
        if isinstance(part, Stack):
            part.recompute = recompute
    filled = broadcast_object(not any(weight.is_meta for weight in model.parameters()))
    weights = model.state_dict() if is_main() and filled else {}
    if world_size() > 1:
        model.to("meta")
    elif not filled:
        model.to_empty(device=device)
    shard_model(model, device, DTYPES[precision] if narrow and not memory_efficient else None)
    if world_size() > 1:
        model.to_empty(device=device)
        if filled:
            _fill(model, weights)


def _fill(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give every process its shares of the first one's weights, which go as they are used up."""
    for name, weight in model.state_dict().items():
        local = to_local(weight)
        full = weights.pop(name).to(local.device) if is_main() else local.new_empty(weight.shape)
        dist.broadcast(full, src=0)
        local.copy_(local_share(full, weight))
