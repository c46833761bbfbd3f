"""What an update of a recipe takes, computed and not measured: memory and time of each device.

The network is built without memory (PyTorch's ``meta`` device) and run once on a full batch, while
what it would keep for its gradient and how often it would multiply are counted. Attention is
counted as written out, with its weights kept; a graphics card's own kernel keeps less.

Sizes: B rows, S context tokens, T reply tokens, I image vectors, F features in each.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.flop_counter import FlopCounterMode

from openmmb.checkpoint import DTYPES, new_network
from openmmb.data.encode import EncodeConfig
from openmmb.model.loss import token_loss
from openmmb.model.network import TrainableNetwork
from openmmb.model.shapes import Shape
from openmmb.model.stack import Stack
from openmmb.training.replies.config import Recipe
from openmmb.training.run.config import OptimConfig
from openmmb.training.run.placement import choose_trainable

WIDE = 4
"""Bytes of a number in fp32."""


@dataclass(frozen=True)
class Hardware:
    """A device as its maker describes it, and what is assumed of its use.

    Attributes:
        flops: Most operations a second; by default those of an H100 in bf16, without sparsity.
        use: Share of them that is reached; an assumption.
        link: Bytes a second that a device sends to others; an assumption.
    """

    flops: float = 989e12
    use: float = 0.3
    link: float = 200e9


@dataclass(frozen=True)
class Estimate:
    """What one device holds, in bytes, and what one update takes.

    Attributes:
        parameters: Number of parameters of the network.
        weights: The device's shards of the weights.
        gradients: Its shards of the gradients.
        moments: Its shards of the optimiser's state.
        gathered: Weights that it gathers, or has a second time in fewer bits, while it computes,
            and their gradients before they are reduced.
        activations: What the layers keep for the gradient.
        logits: What the last product, the loss and its gradient keep.
        flops: Operations of an update on all devices together.
        exchanged: Bytes that a device sends during an update.
        devices: Number of devices.
    """

    parameters: int
    weights: int
    gradients: int
    moments: int
    gathered: int
    activations: int
    logits: int
    flops: int
    exchanged: int
    devices: int

    @property
    def total(self) -> int:
        """Bytes of everything, without what an allocator wastes."""
        kept = self.weights + self.gradients + self.moments
        return kept + self.gathered + self.activations + self.logits

    def seconds(self, hardware: Hardware) -> tuple[float, float]:
        """Return the time of an update's products and that of its exchange.

        An update takes between the longer of them, where both happen at once, and their sum.
        """
        products = self.flops / self.devices / (hardware.flops * hardware.use)
        return products, self.exchanged / hardware.link


@dataclass
class _Counted:
    """What one pass over a batch takes.

    Attributes:
        layers: Bytes that each layer keeps for the gradient.
        inputs: Bytes that go into each layer.
        rest: Bytes that all else keeps, without the loss.
        loss: Bytes that logits and loss keep.
        flops: Operations forward and backward.
        layer_flops: Operations of the layers, forward.
    """

    layers: list[int] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    rest: int = 0
    loss: int = 0
    flops: int = 0
    layer_flops: int = 0


def estimate(recipe: Recipe, shape: Shape, *, devices: int) -> Estimate:
    """Return what an update takes if all of its rows are as long as they may be.

    Args:
        recipe: What to train.
        shape: Shape of the network: ``recipe.model``, or that of ``recipe.start``.
        devices: Graphics cards that share the work.

    Raises:
        ValueError: ``devices`` is below 1.
    """
    if devices < 1:
        raise ValueError(f"devices must be at least 1, got {devices}")
    dtype = DTYPES[recipe.precision]
    with torch.device("meta"):
        model = new_network(shape).to(dtype)
    choose_trainable(model, recipe.trainable)
    rows = math.ceil(recipe.data.batch_size / devices)
    counted = _count(model, recipe, shape, rows, with_picture=recipe.data.features is not None)
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    kept = _Kept.of(model, recipe)
    activations = counted.rest + sum(counted.layers)
    flops = counted.flops
    if recipe.activation_checkpointing:
        activations = counted.rest + sum(counted.inputs) + max(counted.layers)
        flops += counted.layer_flops
    gathered, exchanged = _passed(model, devices, kept)
    return Estimate(
        parameters=model.num_parameters(),
        weights=kept.total // devices,
        gradients=kept.trainable // devices,
        moments=_moments(trainable, recipe.optim, devices),
        gathered=gathered,
        activations=activations,
        logits=counted.loss,
        flops=flops * devices * recipe.data.accumulate,
        exchanged=exchanged * recipe.data.accumulate,
        devices=devices,
    )


@dataclass(frozen=True)
class _Kept:
    """Bytes that weights are kept in.

    Attributes:
        trainable: Those that learn.
        total: All of them.
        copied: Bytes of the copies that products need of weights that are kept wider.
    """

    trainable: int
    total: int
    copied: int

    @classmethod
    def of(cls, model: TrainableNetwork, recipe: Recipe) -> "_Kept":
        narrow = DTYPES[recipe.precision].itemsize
        wide = narrow if recipe.memory_efficient else WIDE
        frozen = min(wide, DTYPES[recipe.frozen_precision].itemsize)
        sizes = {True: 0, False: 0}
        for weight in model.parameters():
            sizes[weight.requires_grad] += weight.numel()
        kept = {True: wide, False: frozen}
        return cls(
            trainable=sizes[True] * wide,
            total=sum(size * kept[learns] for learns, size in sizes.items()),
            copied=sum(size * narrow for learns, size in sizes.items() if narrow < kept[learns]),
        )


def _moments(trainable: list[nn.Parameter], config: OptimConfig, devices: int) -> int:
    if config.name != "adafactor":
        return sum(w.numel() for w in trainable) * WIDE * (3 if config.amsgrad else 2) // devices
    sizes = (w.numel() if w.ndim < 2 else sum(w.shape) for w in trainable)
    return sum(sizes) * WIDE  # every process has all of them


def _passed(model: TrainableNetwork, devices: int, kept: _Kept) -> tuple[int, int]:
    """Return the bytes that a device has from others at once, and those it sends for a batch.

    Everything outside the layers stays gathered, a layer is there with the next one; the gradients
    of two layers, and of all else, wait in fp32 to be reduced.
    """
    narrow = model.dtype.itemsize
    if devices == 1:
        return kept.copied, 0
    stacks = [stack for stack in model.modules() if isinstance(stack, Stack)]
    layers = [_size(layer) for stack in stacks for layer in stack]
    learning = [_size(layer, trainable=True) for stack in stacks for layer in stack]
    outside = _size(model) - sum(layers)
    outside_learning = _size(model, trainable=True) - sum(learning)
    weights = outside + 2 * max(layers)
    gradients = outside_learning + 2 * max(learning)
    # A layer is gathered forward and backward, all else once; each gradient is sent once.
    sent = (2 * sum(layers) + outside) * narrow + _size(model, trainable=True) * WIDE
    return weights * narrow + gradients * WIDE, sent * (devices - 1) // devices


def _size(module: nn.Module, *, trainable: bool = False) -> int:
    weights = (w for w in module.parameters() if w.requires_grad or not trainable)
    return sum(weight.numel() for weight in weights)


def _count(
    model: TrainableNetwork, recipe: Recipe, shape: Shape, rows: int, *, with_picture: bool
) -> _Counted:
    """Run the network on a full batch and count."""
    counted = _Counted()
    with torch.device("meta"):
        encode = recipe.encode or EncodeConfig()
        context = torch.zeros(rows, encode.max_context, dtype=torch.int64)
        reply = torch.zeros(rows, encode.max_reply, dtype=torch.int64)
        images = shape.image_vectors if with_picture else 0
        image = torch.zeros(rows, images, shape.image_dim, dtype=model.dtype)
        there = torch.ones(rows, dtype=torch.bool)
        with _watching(model, counted), FlopCounterMode(display=False) as forward:
            hidden = model(context, context > -1, image, there, reply, 0)
        before = counted.rest
        with _watching(model, counted), FlopCounterMode(display=False) as last:
            logits = model.logits(hidden.flatten(0, 1))
            loss = token_loss(
                logits,
                reply.flatten(),
                label_smoothing=recipe.optim.label_smoothing,
                banned_ids=[0],
            )
    with FlopCounterMode(display=False) as backward:
        loss.backward()  # type: ignore[no-untyped-call]
    counted.loss = counted.rest - before + logits.numel() * (WIDE + logits.element_size())
    counted.rest = before
    passes = (forward, last, backward)
    counted.flops = sum(one.get_total_flops() for one in passes)
    per_module = forward.get_flop_counts()
    counted.layer_flops = sum(
        sum(per_module[name].values())
        for name in per_module
        if name.endswith("layers") or name.rpartition(".")[0].endswith("layers")
    )
    return counted


@contextmanager
def _watching(model: TrainableNetwork, counted: _Counted) -> Iterator[None]:
    """Count the memory that operations keep for the gradient, for each layer apart."""
    known = {_memory(weight) for weight in model.parameters()}
    kept_alive: list[Tensor] = []
    inside = False

    def keep(tensor: Tensor) -> Tensor:
        if _memory(tensor) not in known:
            known.add(_memory(tensor))
            kept_alive.append(tensor)
            size = tensor.untyped_storage().nbytes()
            if inside:
                counted.layers[-1] += size
            else:
                counted.rest += size
        return tensor

    def enter(module: nn.Module, args: tuple[Tensor, ...]) -> None:  # noqa: ARG001 a hook
        nonlocal inside
        inside = True
        counted.layers.append(0)
        counted.inputs.append(args[0].numel() * args[0].element_size())

    def leave(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:  # noqa: ARG001
        nonlocal inside
        inside = False

    layers = [layer for stack in model.modules() if isinstance(stack, Stack) for layer in stack]
    hooks = [layer.register_forward_pre_hook(enter) for layer in layers]
    hooks += [layer.register_forward_hook(leave) for layer in layers]
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _memory(tensor: Tensor) -> StorageWeakRef:
    """Return a key that is equal for tensors in the same memory."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
