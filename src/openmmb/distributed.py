"""One run on many processes: ranks, collectives, sharding, and the device of each process.

``torchrun`` starts the processes; without it there is one, and each function here does what it
means for one. What only several processes need is imported by them: it takes more than a second.
"""

import atexit
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from openmmb.errors import ConfigError, TrainingError, unknown

DEVICES = ("auto", "cpu", "cuda")
MOMENT = 0.1
"""Seconds that a process gives gloo's threads before it ends."""

T = TypeVar("T")


def open_device(name: str, *, shared: bool = False) -> torch.device:
    """Return this process's device.

    Args:
        name: ``cpu``; ``cuda``, of several processes on one machine a graphics card for each;
            ``auto``, a graphics card if there is any; or one device as PyTorch names it, such as
            ``cuda:1``.
        shared: Let several processes have one card where there are more of them than cards.

    Raises:
        ConfigError: There is no such device, or no graphics card for this process.
    """
    if name not in DEVICES:
        return _named_device(name)
    cards = torch.cuda.device_count()
    if name == "cpu" or (name == "auto" and not cards):
        return torch.device("cpu")
    number = local_rank()
    if shared and cards:
        number %= cards
    if number >= cards:
        raise ConfigError(
            f"device: no graphics card for process {number} of this machine, PyTorch sees {cards}; "
            "use 'cpu'"
        )
    return torch.device("cuda", number)


def _named_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device: {unknown('device', name, DEVICES)}") from None
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # as the backend likes
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"device: no {name!r} on this machine: {reason}; use 'cpu'") from error


def local_rank() -> int:
    """Return this process's number among those that ``torchrun`` started on this machine.

    Raises:
        ConfigError: LOCAL_RANK is not a number.
    """
    return _read_environment("LOCAL_RANK", 0)


def environment_rank() -> int:
    """Return this process's number as ``torchrun`` set it, for those that need not meet.

    Raises:
        ConfigError: RANK is not a number.
    """
    return _read_environment("RANK", 0)


def environment_world_size() -> int:
    """Return how many processes ``torchrun`` started, for those that need not meet.

    Raises:
        ConfigError: WORLD_SIZE is not a number.
    """
    return _read_environment("WORLD_SIZE", 1)


def _read_environment(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    if not value.isdecimal():
        raise ConfigError(f"{name}: expected a whole number, got {value!r}")
    return int(value)


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the process group of the processes that ``torchrun`` has started; alone, do nothing.

    The group lasts until the processes end, since it cannot be joined twice. After an error a
    process leaves without waiting for the others, and they do not wait for it.

    Raises:
        TrainingError: Another process has failed or was killed.
    """
    if environment_world_size() == 1 or dist.is_initialized():
        yield
        return
    # Weights and gradients pass between graphics cards; all that is small goes over the CPU.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    except RuntimeError as error:
        if "gloo" not in str(error) and not isinstance(error, dist.DistError):
            raise
        raise TrainingError(
            f"process {rank()} of {world_size()}: another one has failed or was killed; see what "
            "it says"
        ) from error
    atexit.register(_leave)


def _leave() -> None:
    """Leave the process group while Python still runs.

    A thread of gloo frees the last tensors that were sent a moment after they have arrived. It
    needs the interpreter for that; were that already shutting down, the process would abort.
    """
    dist.destroy_process_group()
    time.sleep(MOMENT)


def rank() -> int:
    """Return the rank of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return how many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Say whether this is rank 0, the process that writes files and talks to people."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process has come here."""
    all_reduce_sum([])


@contextmanager
def main_first() -> Iterator[None]:
    """Let rank 0 do something first, then the others."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


def all_reduce_sum(numbers: Sequence[float]) -> list[float]:
    """Sum each number over the processes; all get the same."""
    if world_size() == 1:
        return list(numbers)
    total = torch.tensor([*numbers, 0.0], dtype=torch.float64)
    dist.all_reduce(total)
    return total.tolist()[:-1]


def any_rank(*, holds: bool) -> bool:
    """Say whether something holds in at least one process; all get the same answer."""
    return all_reduce_sum([float(holds)])[0] > 0


def broadcast_object(value: T) -> T:
    """Return the value that rank 0 has."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def all_gather_object(value: T) -> list[T]:
    """Return the value of each process, by rank; all get the same."""
    if world_size() == 1:
        return [value]
    values = [value] * world_size()
    dist.all_gather_object(values, value)
    return values


def shard_model(model: nn.Module, device: torch.device, dtype: torch.dtype | None) -> None:
    """Shard a network over the processes, in place; alone, only bring it to ``device``.

    Each process keeps a shard of every weight, its gradient and the optimiser's moments, and
    gathers the other shards of a layer while it computes with it (FSDP2). A layer is what a
    ``ModuleList`` holds; all else, the tied embeddings among it, is one unit that stays gathered
    from the forward pass through the backward.

    Args:
        model: The same in every process.
        device: The device of this process.
        dtype: Precision that weights are gathered in and computed with; None: as they are kept.
            Gradients are reduced in float32.
    """
    if world_size() == 1:
        model.to(device)
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(device.type, (world_size(),))
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    layers = [m for parent in model.modules() if isinstance(parent, nn.ModuleList) for m in parent]
    for layer in layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=False)


def full_tensor(tensor: Tensor) -> Tensor:
    """Gather a tensor that may be sharded; every process must ask at the same time."""
    if world_size() == 1:
        return tensor
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def to_local(tensor: Tensor) -> Tensor:
    """Return this process's shard of a tensor that may be sharded."""
    if world_size() == 1:
        return tensor
    from torch.distributed.tensor import DTensor

    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def local_shard(tensor: Tensor, like: Tensor) -> Tensor:
    """Return this process's shard of a full tensor, sharded as ``like`` is."""
    if world_size() == 1:
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(like, DTensor):
        return tensor
    mesh, placements = like.device_mesh, like.placements
    return distribute_tensor(tensor, mesh, placements, src_data_rank=None).to_local()


def full_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Gather the weights of a network by name, on the CPU of rank 0; the others get nothing.

    Every process must ask at the same time.
    """
    weights: dict[str, Tensor] = {}
    for name, weight in model.state_dict().items():
        gathered = full_tensor(weight)
        if is_main():
            weights[name] = gathered.detach().cpu()
    return weights
