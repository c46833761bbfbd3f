"""The weights of an untrained network."""

from typing import TypeVar

from torch import nn

from openmmb.model.layers import Positions

N = TypeVar("N", bound=nn.Module)


def initialise(network: N) -> N:
    """Draw weights as ParlAI starts from: Xavier for products, width**-0.5 for embeddings.

    Networks are built without weights, which nearly always are read from a file afterwards.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
        if isinstance(module, Positions):
            module.reset_parameters()
    return network
