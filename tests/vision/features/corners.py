"""An encoder whose vectors can be read off a picture, pictures for it, and a store to keep them."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from openmmb.vision.features.vectors import Features
from openmmb.vision.object_words import ObjectWord


@dataclass(frozen=True)
class Corners:
    """An encoder: the colours of the left corners, and of the right ones."""

    name: str = "corners"
    num_vectors: int = 2
    feature_dim: int = 3
    fingerprint: str = "1"
    fails_after: int = 10**9
    dies_after: int = 10**9
    seen: list[Image.Image] = field(default_factory=list)
    has_words: bool = False

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        self.seen.extend(images)
        if len(self.seen) > self.fails_after:
            raise KeyboardInterrupt
        if len(self.seen) > self.dies_after:
            os.kill(os.getpid(), signal.SIGKILL)
        sides = [[image.getpixel((0, 0)), image.getpixel((1, 0))] for image in images]
        return torch.tensor(sides, dtype=torch.float32) / 3

    def words(self, vectors: Tensor) -> tuple[ObjectWord, ...]:
        red = vectors[0, 0].item() * 3
        return (ObjectWord(f"red {red:.0f}", 0.75), ObjectWord("right", 0.25))


def paint(folder: Path, count: int) -> dict[str, Image.Image]:
    """Save ``count`` pictures of two pixels each."""
    folder.mkdir(exist_ok=True)
    images = {}
    for number in range(count):
        image = Image.new("RGB", (2, 1), (number, 7, 9))
        image.putpixel((1, 0), (200, number, 3))
        image.save(folder / f"p{number}.png")
        images[f"p{number}"] = image
    return images


def expect(found: Features, images: dict[str, Image.Image]) -> None:
    """See that the features are those of the pictures, and of no others."""
    assert sorted(found) == sorted(images)
    for image_id, image in images.items():
        wanted = Corners().encode([image])[0].half().float()
        assert torch.equal(found[image_id], wanted)
