"""Picture encoders by name. To add one: write a function that opens it, then its line in ENCODERS.

Sizes: B pictures, I image vectors, F features in each.
"""

import difflib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from openmmb.errors import ConfigError
from openmmb.vision import efficientnet


class ImageEncoder(Protocol):
    """Turns pictures into image vectors."""

    @property
    def name(self) -> str:
        """Its name in ENCODERS."""
        ...

    @property
    def num_vectors(self) -> int:
        """I."""
        ...

    @property
    def feature_dim(self) -> int:
        """F."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes when the weights or the preprocessing do; equal ones give equal vectors."""
        ...

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """Turn at least one RGB picture into (B, I, F) float32 on the CPU.

        Raises:
            ValueError: There is no picture, or one is not RGB.
        """
        ...


@dataclass(frozen=True)
class GridEncoder:
    """A network that yields image vectors for a batch of preprocessed pixels."""

    name: str
    num_vectors: int
    feature_dim: int
    fingerprint: str
    preprocess: Callable[[Sequence[Image.Image]], Tensor]
    network: Callable[[Tensor], Tensor]
    device: torch.device

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """Turn at least one RGB picture into (B, I, F) float32 on the CPU.

        Raises:
            ValueError: There is no picture, or one is not RGB.
        """
        if not images:
            raise ValueError("cannot encode zero pictures")
        for image in images:
            if image.mode != "RGB":
                raise ValueError(f"picture has mode {image.mode}, expected RGB")
        with torch.inference_mode():
            vectors = self.network(self.preprocess(images).to(self.device))
        return vectors.float().cpu()


def open_efficientnet_lite0(device: torch.device) -> ImageEncoder:
    """Open the 7 x 7 grid of EfficientNet-Lite0: 49 vectors of 1280 features, 0 to 6."""
    network = efficientnet.load_efficientnet()
    network.fold_batch_norms()
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = efficientnet.weights_path().read_bytes()
    return GridEncoder(
        name="efficientnet_lite0",
        num_vectors=efficientnet.NUM_VECTORS,
        feature_dim=efficientnet.FEATURE_DIM,
        fingerprint=_fingerprint(weights, efficientnet.PREPROCESSING),
        preprocess=efficientnet.preprocess,
        network=network,
        device=device,
    )


ENCODERS: dict[str, Callable[[torch.device], ImageEncoder]] = {
    "efficientnet_lite0": open_efficientnet_lite0,
}


def open_encoder(name: str, *, device: str = "cpu") -> ImageEncoder:
    """Open the picture encoder ``name``.

    Raises:
        ConfigError: No such encoder, or no such device here.
    """
    if name not in ENCODERS:
        near = difflib.get_close_matches(name, ENCODERS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(ENCODERS))}"
        raise ConfigError(f"no picture encoder {name!r}; {hint}")
    try:
        place = torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: a torch built without CUDA
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"no device {device!r} here: {reason}; 'cpu' always works") from error
    return ENCODERS[name](place)


def _fingerprint(weights: bytes, preprocessing: str) -> str:
    return hashlib.sha256(weights + preprocessing.encode()).hexdigest()[:16]
