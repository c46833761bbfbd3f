"""From whatever somebody shows to what a model sees of it, each picture once.

Sizes: H x W pixels, I image vectors, F features in each.
"""

import hashlib
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final, TypeAlias

import torch
from PIL import Image
from torch import Tensor

from openmmb.chat.conversation import Picture
from openmmb.chat.strict import quote
from openmmb.checkpoint import CheckpointConfig
from openmmb.data.encode import choose_objects
from openmmb.errors import CheckpointError, ImageError
from openmmb.safety.answers import reason
from openmmb.safety.guard import PictureJudge
from openmmb.text.normalize import tidy
from openmmb.vision.addresses import local_path
from openmmb.vision.data_uri import is_data_uri
from openmmb.vision.encoders import ALIASES, open_encoder, require_taking_weights
from openmmb.vision.image import UNNAMED, PixelSource, load_image
from openmmb.vision.image_encoder import ImageEncoder
from openmmb.vision.pixels import bands

ImageSource: TypeAlias = PixelSource | Picture
"""A picture to look at, as ``openmmb.vision.image`` reads it, or one that was looked at already."""

CAPACITY: Final = 64
"""Pictures whose vectors are kept: at most 53 MB for those of the largest encoder, the detector."""


class Viewer:
    """Turns pictures into image vectors; any number of threads may share one.

    The encoder is opened when the first picture comes. The vectors of the latest pictures are kept
    by content, so that the same pixels are encoded once, whatever file they come from.

    Args:
        checkpoint: Names the encoder and the shape of its vectors.
        device: Where the encoder runs.
        weights: File or folder of the encoder's weights, where it does not come with them.
        capacity: How many pictures are kept.
        judge: Says whether an RGB picture may be shown; None: all may.
    """

    def __init__(
        self,
        checkpoint: CheckpointConfig,
        *,
        device: torch.device,
        weights: Path | str | None = None,
        capacity: int = CAPACITY,
        judge: PictureJudge | None = None,
    ) -> None:
        if weights:
            require_taking_weights(checkpoint.encoder, weights)
        self._judge = judge
        self._checkpoint = checkpoint
        self._name = ALIASES.get(checkpoint.encoder, checkpoint.encoder)
        self._device = device
        self._weights = weights
        self._capacity = capacity
        self._encoder: ImageEncoder | None = None
        self._known: OrderedDict[str, Tensor] = OrderedDict()
        self._cache = threading.Lock()
        self._encoding = threading.Lock()

    def look(self, source: ImageSource) -> Picture:
        """Return what a model sees of a picture.

        Raises:
            ImageError: The picture cannot be read, is none, or may not be shown.
            ConfigError: The encoder lacks its weights.
            CheckpointError: The encoder or its weights do not fit the model.
        """
        if isinstance(source, Picture):
            self.check(source)
            return source
        name, pixels = read_pixels(source)
        digest = hash_pixels(pixels)
        vectors = self._find(digest)
        if vectors is None:
            self._admit(name, pixels)
            with self._encoding:  # whoever waited here for the same picture finds it now
                vectors = self._find(digest)
                if vectors is None:
                    vectors = self._open().encode([pixels])[0]
                    self._keep(digest, vectors)
        return Picture(name, vectors, digest=digest, encoder=self._name)

    def name_objects(self, picture: Picture) -> tuple[str, ...]:
        """Return the names of what a picture shows, as many as the model was trained to read.

        Raises:
            ConfigError: The encoder lacks its weights.
            CheckpointError: The encoder or its weights do not fit the model.
        """
        config = self._checkpoint.encode
        if not config.object_words:
            return ()
        with self._encoding:
            encoder = self._open()
        return choose_objects(encoder.words(picture.vectors), config)

    def check(self, picture: Picture) -> None:
        """Refuse a picture that the model cannot see.

        Raises:
            ImageError: Its vectors are of another encoder, or have another shape.
        """
        if picture.encoder not in ("", self._name):
            raise ImageError(
                f"picture: expected vectors of {self._name!r}, got vectors of "
                f"{quote(picture.encoder)}"
            )
        sizes = self._checkpoint.model
        expected = sizes.image_vectors, sizes.image_dim
        if tuple(picture.vectors.shape) != expected:
            raise ImageError(
                f"picture: expected vectors of shape {expected}, got {tuple(picture.vectors.shape)}"
            )

    def _admit(self, name: str, pixels: Image.Image) -> None:
        verdict = None if self._judge is None else self._judge(pixels)
        if verdict is not None and not verdict.safe:
            raise ImageError(f"{name}: may not be shown: {reason(verdict)}")

    def _find(self, digest: str) -> Tensor | None:
        with self._cache:
            if digest in self._known:
                self._known.move_to_end(digest)
            return self._known.get(digest)

    def _keep(self, digest: str, vectors: Tensor) -> None:
        with self._cache:
            self._known[digest] = vectors
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)

    def _open(self) -> ImageEncoder:
        if self._encoder is None:
            config = self._checkpoint
            encoder = open_encoder(config.encoder, weights=self._weights, device=str(self._device))
            given = encoder.num_vectors, encoder.feature_dim
            expected = config.model.image_vectors, config.model.image_dim
            if given != expected:
                raise CheckpointError(
                    f"{config.name}: expected image vectors of shape {expected}, but "
                    f"{config.encoder} gives {given}"
                )
            self._encoder = encoder
        return self._encoder


def read_pixels(source: PixelSource) -> tuple[str, Image.Image]:
    """Return the name and the RGB pixels of a picture.

    Raises:
        ImageError: It cannot be read, or is none.
    """
    name = UNNAMED
    if isinstance(source, str | os.PathLike) and not is_data_uri(os.fsdecode(source)):
        name = tidy(local_path(source).name)
    return name, load_image(source)


def hash_pixels(image: Image.Image) -> str:
    """Return a hash of the content of an RGB picture."""
    state = hashlib.sha256(f"pixels {image.width} {image.height}".encode())
    for box in bands(image.size):  # all of it at once would take as much memory again
        state.update(image.crop(box).tobytes())
    return state.hexdigest()
