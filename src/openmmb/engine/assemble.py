"""A network built of an engine's layers, which get its weights one by one."""

from collections.abc import Mapping

import torch
from torch import Tensor

from openmmb.checkpoint import Checkpoint, SavedCheckpoint, new_network
from openmmb.engine.filled import FilledLinear, LayerFactory
from openmmb.engine.panels import share_memory
from openmmb.engine.plain import NetworkEngine
from openmmb.model.network import TrainableNetwork
from openmmb.tensors import Weight


def open_filled(
    checkpoint: Checkpoint | SavedCheckpoint,
    weights: Mapping[str, Weight],
    linear: LayerFactory,
    head: LayerFactory | None = None,
) -> NetworkEngine:
    """Open an engine whose linear layers are ``linear``'s; everything else is in float32.

    Weights are read and taken over one by one, so memory never holds them twice; the embeddings,
    which are input and output, are kept in both forms.

    Args:
        checkpoint: The model.
        weights: Its weights.
        linear: Builds the layers of the network.
        head: Builds the product that gives logits; None: ``linear`` does.
    """
    with torch.device("meta"):
        network = new_network(checkpoint.config.model, linear)
    inputs = network.embeddings.embedding_dim
    last = (head or linear)(inputs, network.vocab_size, bias=False, stepwise=True)
    _fill(network, last, weights)
    return NetworkEngine(network, checkpoint, head=last)


def _fill(network: TrainableNetwork, head: FilledLinear, weights: Mapping[str, Weight]) -> None:
    """Read the weights and give each to its layer, one after the other."""

    def read(name: str) -> Tensor:
        return weights[name].read().to("cpu", torch.float32)

    layers = [(name, m) for name, m in network.named_modules() if isinstance(m, FilledLinear)]
    share_memory([*(layer for _, layer in layers), head])
    for name, layer in layers:
        layer.fill(read(f"{name}.weight"), read(f"{name}.bias") if layer.has_bias else None)
    head.fill(read(network.output_weight))
    network.load_state_dict({name: read(name) for name in network.state_dict()}, assign=True)
