"""From whatever somebody shows to what a model sees of it, each picture once.

Sizes: H x W pixels, I image vectors, F features in each.
"""

import hashlib
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from openmmb.chat.conversation import Picture
from openmmb.chat.strict import name_type, quote
from openmmb.checkpoint import CheckpointConfig
from openmmb.data.encode import choose_objects
from openmmb.errors import CheckpointError, ImageError
from openmmb.text.normalize import tidy
from openmmb.vision.encoders import ALIASES, open_encoder
from openmmb.vision.image import DEFAULT_LIMITS, load_image
from openmmb.vision.image_encoder import ImageEncoder

ImageSource: TypeAlias = Path | str | bytes | Image.Image | npt.NDArray[np.uint8] | Tensor | Picture
"""A picture to look at: a path, the bytes of a file, pixels as Pillow, NumPy (H, W, 3) or PyTorch
(H, W, 3 or 3, H, W) have them, or a picture that was looked at already."""

CAPACITY: Final = 64
"""Pictures whose vectors are kept: at most 53 MB for those of the largest encoder, the detector."""
UNNAMED: Final = "picture"
"""Name of a picture that has no file name."""


class Viewer:
    """Turns pictures into image vectors; any number of threads may share one.

    The encoder is opened when the first picture comes. The vectors of the latest pictures are kept
    by content, so that the same pixels are encoded once, whatever file they come from.

    Args:
        checkpoint: Names the encoder and the shape of its vectors.
        device: Where the encoder runs.
        weights: File or folder of the encoder's weights, where it does not come with them.
        capacity: How many pictures are kept.
    """

    def __init__(
        self,
        checkpoint: CheckpointConfig,
        *,
        device: torch.device,
        weights: Path | str | None = None,
        capacity: int = CAPACITY,
    ) -> None:
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
            ImageError: The picture cannot be read, or is none.
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


def read_pixels(source: ImageSource) -> tuple[str, Image.Image]:
    """Return the name and the RGB pixels of a picture.

    Raises:
        ImageError: It cannot be read, or is none.
    """
    given: Any = source
    match given:
        case str() | Path():
            path = Path(given)
            return tidy(path.name), load_image(path)
        case bytes() | bytearray() | memoryview():
            return UNNAMED, load_image(bytes(given))
        case Image.Image():
            return UNNAMED, _from_pillow(given)
        case np.ndarray():
            return UNNAMED, _from_array(given)
        case Tensor():
            return UNNAMED, _from_tensor(given)
        case list() | tuple():
            raise ImageError(
                f"image: expected one picture, got a {name_type(given)}; use one request for each "
                "picture"
            )
    raise ImageError(
        "image: expected a path, the bytes of a file, a Pillow image or an array of pixels, got "
        f"{name_type(given)}"
    )


def hash_pixels(image: Image.Image) -> str:
    """Return a hash of the content of an RGB picture."""
    state = hashlib.sha256(f"pixels {image.width} {image.height}".encode())
    state.update(image.tobytes())
    return state.hexdigest()


def _from_pillow(image: Image.Image) -> Image.Image:
    if not image.width or not image.height:
        raise ImageError(f"image: expected pixels, got {image.width} x {image.height}")
    try:
        return image.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:  # a file that Pillow had not decoded yet
        raise ImageError(f"image: damaged picture: {error}") from error


def _from_tensor(pixels: Tensor) -> Image.Image:
    if pixels.dim() == 3 and pixels.shape[-1] != 3 and pixels.shape[0] == 3:
        pixels = pixels.permute(1, 2, 0)
    if pixels.dtype != torch.uint8:
        raise ImageError(f"image: expected pixels of type uint8, 0 to 255, got {pixels.dtype}")
    return _from_array(pixels.detach().cpu().numpy())


def _from_array(pixels: npt.NDArray[Any]) -> Image.Image:
    if pixels.dtype != np.uint8:
        raise ImageError(f"image: expected pixels of type uint8, 0 to 255, got {pixels.dtype}")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ImageError(f"image: expected pixels of shape (height, width, 3), got {pixels.shape}")
    if pixels.shape[0] * pixels.shape[1] > DEFAULT_LIMITS.max_pixels:
        raise ImageError(
            f"image: expected at most {DEFAULT_LIMITS.max_pixels} pixels, got "
            f"{pixels.shape[1]} x {pixels.shape[0]}"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))
