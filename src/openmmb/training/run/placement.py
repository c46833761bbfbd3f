"""A network is brought to where it is trained: one device, or one for each of several processes."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
import torch.distributed as dist
from torch import Tensor, nn

from openmmb.checkpoint import DTYPES
from openmmb.distributed import (
    broadcast_object,
    is_main,
    local_shard,
    shard_model,
    to_local,
    world_size,
)
from openmmb.errors import ConfigError
from openmmb.model.stack import Stack
from openmmb.training.run.config import RunConfig


def choose_trainable(model: nn.Module, patterns: Sequence[str]) -> None:
    """Freeze all weights of a network but those whose name one of the patterns matches.

    What the network itself holds fixed, such as sinusoidal positions, stays so.

    Raises:
        ConfigError: A pattern matches no weight, or no weight is left to learn.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(
                f"trainable: {pattern!r} matches no weight; use patterns of names such as "
                f"{names[0]} or {names[-1]}"
            )
    for name, weight in model.named_parameters():
        if not any(fnmatchcase(name, pattern) for pattern in patterns):
            weight.requires_grad_(False)  # noqa: FBT003 PyTorch's own
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ConfigError(f"trainable: {', '.join(patterns)} matches only weights that are fixed")


def place(model: nn.Module, device: torch.device, config: RunConfig) -> None:
    """Bring a network, in place, to where and how it will be trained.

    Of several processes only the first needs to have its weights; the others get those, bit for
    bit. They never hold more than their shards and one whole weight.

    Args:
        model: In fp32; all it holds is in its ``state_dict``. On the CPU, or without memory (on
            the ``meta`` device): if that of the first process is, the weights will be anything.
        device: The device of this process.
        config: Says what the weights are kept in, and whether layers are computed again for the
            gradient.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    _narrow(model, config)
    for module in model.modules():
        if isinstance(module, Stack):
            module.recompute = config.activation_checkpointing
    filled = broadcast_object(not any(weight.is_meta for weight in model.parameters()))
    weights = model.state_dict() if is_main() and filled else {}
    if world_size() > 1:
        model.to("meta")
    elif not filled:
        model.to_empty(device=device)
    autocast = config.precision != "fp32" and not config.memory_efficient
    shard_model(model, device, DTYPES[config.precision] if autocast else None)
    if world_size() > 1:
        model.to_empty(device=device)
        if filled:
            _fill(model, weights)


def _narrow(model: nn.Module, config: RunConfig) -> None:
    """Bring weights into the precision that they are kept in."""
    if config.memory_efficient:
        model.to(DTYPES[config.precision])
    if config.frozen_precision != "fp32":
        for weight in model.parameters():
            if not weight.requires_grad:
                weight.data = weight.data.to(DTYPES[config.frozen_precision])


def _fill(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give every process its shards of the first one's weights, which go as they are used up."""
    for name, weight in model.state_dict().items():
        local = to_local(weight)
        full = weights.pop(name).to(local.device) if is_main() else local.new_empty(weight.shape)
        dist.broadcast(full, src=0)
        local.copy_(local_shard(full, weight))
