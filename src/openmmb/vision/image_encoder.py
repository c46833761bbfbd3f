"""What turns a picture into image vectors, and perhaps into words.

Sizes: B pictures, I image vectors, F features in each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from openmmb.vision.object_words import ObjectHead, ObjectWord, merge


class ImageEncoder(Protocol):
    """Turns pictures into image vectors, and perhaps into words for what they show.

    Any object with these attributes and methods is one, such as what ``open_encoder`` returns.
    """

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

    @property
    def has_words(self) -> bool:
        """It names what pictures show."""
        ...

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """Turn at least one RGB picture into (B, I, F) float32 on the CPU.

        Raises:
            ValueError: There is no picture, or one is not RGB.
        """
        ...

    def words(self, vectors: Tensor) -> tuple[ObjectWord, ...]:
        """Name what the picture of these vectors (I, F) shows, the likeliest first.

        An encoder that has no words says nothing.
        """
        ...


@dataclass(frozen=True)
class GridEncoder:
    """A network that yields image vectors for a batch of preprocessed pixels."""

    name: str
    num_vectors: int
    feature_dim: int
    fingerprint: str
    preprocess: Callable[[Sequence[Image.Image]], Tensor] = field(repr=False)
    network: Callable[[Tensor], Tensor] = field(repr=False)
    device: torch.device
    heads: tuple[ObjectHead, ...] = field(default=(), repr=False)

    @property
    def has_words(self) -> bool:
        """It names what pictures show."""
        return bool(self.heads)

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

    def words(self, vectors: Tensor) -> tuple[ObjectWord, ...]:
        """Name what the picture of these vectors (I, F) shows, the likeliest first."""
        return merge(*(head.words(vectors) for head in self.heads))
