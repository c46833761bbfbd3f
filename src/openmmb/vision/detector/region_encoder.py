"""The detector as a picture encoder.

Sizes: B pictures, I = 100 image vectors, F = 2048 features in each.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from PIL import Image
from torch import Tensor

from openmmb.vision.detector.exact import exact_products
from openmmb.vision.detector.faster_rcnn import X152, FasterRCNN, Precision, Shape
from openmmb.vision.detector.preprocess import PREPROCESSING, preprocess
from openmmb.vision.detector.regions import NUM_REGIONS, Regions
from openmmb.vision.detector.weights import load_faster_rcnn
from openmmb.vision.object_words import ObjectWord

NAME: Final = "faster_rcnn_x152"


@dataclass(frozen=True)
class RegionEncoder:
    """Tells a picture by the features of its regions, surest first.

    A picture with fewer than I proposals has zeros in its last rows. A region's features are never
    all zero in practice, so a row of zeros says that there is none.
    """

    name: str
    num_vectors: int
    feature_dim: int
    fingerprint: str
    network: FasterRCNN
    has_words: bool = False

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """Turn at least one RGB picture into (B, I, F) float32 on the CPU.

        Raises:
            ValueError: There is no picture, or one is not RGB.
        """
        if not images:
            raise ValueError("cannot encode zero pictures")
        # One by one: a canvas shared with a larger picture would change what is found.
        return torch.stack([self.regions(image).features for image in images])

    def words(self, vectors: Tensor) -> tuple[ObjectWord, ...]:  # noqa: ARG002 as encoders have it
        """Return nothing: the file of weights does not name its classes."""
        return ()

    def regions(self, image: Image.Image) -> Regions:
        """Find the regions of an RGB picture.

        Raises:
            ValueError: It is not RGB.
        """
        if image.mode != "RGB":
            raise ValueError(f"picture has mode {image.mode}, expected RGB")
        with torch.inference_mode(), exact_products():
            regions: Regions = self.network(preprocess(image))
        return regions


def open_faster_rcnn(
    weights: Path,
    device: torch.device,
    *,
    precision: Precision = "fp32",
    shape: Shape = X152,
) -> RegionEncoder:
    """Open the detector: 100 vectors of 2048 features, not negative, about half of them zero.

    Args:
        weights: The file, which does not come with this package.
        device: Where the network runs.
        precision: Of the convolutions. ``bf16`` finds somewhat other regions: a model must be
            trained and used with the same.
        shape: Of the network in the file.

    Raises:
        CheckpointError: The file is missing or damaged, or holds another network.
    """
    network = load_faster_rcnn(weights, shape)
    fingerprint = _fingerprint(network, precision)
    network.prepare(device, precision)
    return RegionEncoder(
        name=NAME,
        num_vectors=NUM_REGIONS,
        feature_dim=shape.feature_dim,
        fingerprint=fingerprint,
        network=network,
    )


def _fingerprint(network: FasterRCNN, precision: Precision) -> str:
    digest = hashlib.sha256(f"{PREPROCESSING}; {precision}".encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:16]
