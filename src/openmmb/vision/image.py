"""One door for everything that can be a picture: to checked RGB pixels, the right way up.

The same picture gives the same pixels, however it comes. What decoding takes is limited, and
whatever the bytes are, the only error that comes out is ImageError. Any number of threads may
decode at once.

Sizes: H x W pixels.
"""

import os
from importlib.util import find_spec
from io import TextIOBase
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageFile
from torch import Tensor

from openmmb.errors import ImageError, shorten
from openmmb.vision.addresses import local_path
from openmmb.vision.data_uri import decode_data_uri, is_data_uri
from openmmb.vision.decoders import DECODERS
from openmmb.vision.decoding import Budget, can_load, check_pixels
from openmmb.vision.formats import FORMATS, HEIC, find_format
from openmmb.vision.limits import DEFAULT_LIMITS, STRICT_LIMITS, ImageLimits
from openmmb.vision.pixels import DAMAGE, find_turn, finish, reason, to_rgb


class BinaryFile(Protocol):
    """A file that is open for reading bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes."""
        ...


PixelSource: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryFile
    | Image.Image
    | npt.NDArray[np.uint8]
    | Tensor
)
"""A picture: the path, ``file://`` URL or ``data:`` URI of a picture file, its bytes, the file
opened for reading, or pixels as Pillow, NumPy (H, W, 3) or PyTorch (H, W, 3 or 3, H, W) have
them."""

UNNAMED: Final = "picture"
"""What messages call a picture that has no file name."""

_LONGEST_NAME: Final = 500
"""Longer paths are cut in messages."""
_EXPECTED: Final = (
    "expected a path, the bytes of a file, a Pillow image, an array of pixels or an open file"
)


def load_image(
    source: PixelSource, *, limits: ImageLimits = DEFAULT_LIMITS, name: str | None = None
) -> Image.Image:
    """Return a picture as RGB, the right way up.

    The EXIF orientation is applied, transparency is laid over white, 16-bit grey is scaled to 8; of
    more than one frame, the first is taken. Colour profiles are not applied. A JPEG of more pixels
    than the limits allow is decoded at a fraction of its size.

    Args:
        source: A path or ``file://`` URL, the bytes of a file or the file opened in binary mode,
            which is read from its beginning; a ``data:`` URI; a Pillow image; pixels of type
            uint8, (H, W, 3), or 3, H, W as PyTorch has them.
        limits: What is refused.
        name: What errors call the picture: by default the path, or ``picture`` where there is none.

    Raises:
        ImageError: The picture is missing, empty, beyond the limits, of another format, damaged, or
            none.
    """
    given: Any = source
    if isinstance(given, str) and is_data_uri(given):
        return picture_from_data_uri(given, limits=limits, name=name)
    if isinstance(given, str | os.PathLike):
        path = local_path(given)
        name = _name_path(path) if name is None else name
        return _decode(_read_path(path, limits.max_bytes, name), limits, name)
    match given:
        case Image.Image():
            return _from_pillow(given, limits, name or "image")
        case np.ndarray():
            return _from_array(given, limits, name or "image")
        case Tensor():
            return _from_tensor(given, limits, name or "image")
    name = UNNAMED if name is None else name
    return _decode(_read_bytes(given, limits.max_bytes, name), limits, name)


def picture_from_data_uri(
    text: str, *, limits: ImageLimits = STRICT_LIMITS, name: str | None = None
) -> Image.Image:
    """Decode the picture in a ``data:image/...;base64,`` URI that a stranger may have sent.

    Bytes, pixels, memory and processor time are limited; of an animation only the first frame is
    decoded, however many there are. What comes back is what ``Bot.look`` and ``Request(image=...)``
    take. Nothing is ever fetched.

    Args:
        text: The URI. What its media type says does not matter, the bytes decide.
        limits: What is refused; ``STRICT_LIMITS`` are for servers.
        name: What errors call the picture; by default ``picture``.

    Returns:
        Its pixels as RGB, the right way up.

    Raises:
        ImageError: It is no such URI, beyond the limits, no picture, or damaged; one line.
    """
    name = UNNAMED if name is None else name
    return _decode(decode_data_uri(text, limits.max_bytes, name), limits, name)


def _decode(data: bytes, limits: ImageLimits, name: str) -> Image.Image:
    if not data:
        raise ImageError(f"{name}: empty; expected a picture")
    kind = find_format(data)
    if kind is None:
        names = [known.name for known in FORMATS]
        expected = f"{', '.join(names[:-1])} or {names[-1]}"
        raise ImageError(f"{name}: not a picture, starts with {data[:12]!r}; expected {expected}")
    if kind is HEIC and find_spec("pillow_heif") is None:
        raise ImageError(f"{name}: HEIC picture: pip install 'openmmb[heic]'")
    try:
        return DECODERS.decode(data, kind, _budget(limits))
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error


def _budget(limits: ImageLimits) -> Budget:
    return Budget(limits.max_pixels, limits.max_memory, limits.max_seconds)


def _name_path(path: Path) -> str:
    """Return what messages call a file: its path, unless it is no path but a long text."""
    return str(path) if len(str(path)) <= _LONGEST_NAME else shorten(str(path))


def _read_path(path: Path, max_bytes: int, name: str) -> bytes:
    try:
        if path.exists() and not path.is_file():  # reading a pipe or a device may not end
            raise ImageError(f"{name}: not a file; expected a picture file")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ImageError(f"{name}: {error.strerror}") from error
    except ValueError as error:  # a path with a null byte
        raise ImageError(f"{name!r}: {error}") from error
    if len(data) > max_bytes:
        raise ImageError(f"{name}: over {max_bytes} bytes; at most {max_bytes} are read")
    return data


def _read_bytes(given: Any, max_bytes: int, name: str) -> bytes:
    """Return the bytes of whatever has bytes: at most those that are allowed."""
    if callable(getattr(given, "read", None)):
        return _read_file(given, max_bytes, name)
    if isinstance(given, list | tuple):
        raise ImageError(
            f"image: expected one picture, got a {type(given).__name__}; use one request for each "
            "picture"
        )
    try:
        view = memoryview(given)
    except TypeError:
        kind = "None" if given is None else type(given).__name__
        raise ImageError(f"image: {_EXPECTED}, got {kind}") from None
    if view.nbytes > max_bytes:
        raise ImageError(f"{name}: {view.nbytes} bytes; at most {max_bytes} are read")
    return view.tobytes()


def _read_file(file: Any, max_bytes: int, name: str) -> bytes:
    """Read an open file from its beginning, as Pillow does."""
    if isinstance(file, TextIOBase):
        raise ImageError(f"{name}: expected a file of bytes; use open(path, 'rb')")
    try:
        if callable(getattr(file, "seek", None)) and _is_seekable(file):
            file.seek(0)
        blocks, size = [], 0
        while size <= max_bytes and (block := file.read(max_bytes + 1 - size)):
            blocks.append(bytes(memoryview(block)))
            size += len(block)
    except Exception as error:  # closed, or of any kind: a file in an archive has errors of its own
        raise ImageError(f"{name}: cannot be read: {reason(error)}") from error
    if size > max_bytes:
        raise ImageError(f"{name}: over {max_bytes} bytes; at most {max_bytes} are read")
    return b"".join(blocks)


def _read_back(file: Any, max_bytes: int, name: str) -> bytes:
    """Read the whole of a file and leave it where it was."""
    try:
        position = file.tell()
        data = _read_file(file, max_bytes, name)
        file.seek(position)
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be read: {reason(error)}") from error
    return data


def _is_seekable(file: Any) -> bool:
    seekable = getattr(file, "seekable", None)
    return bool(seekable()) if callable(seekable) else True


def _from_pillow(image: Image.Image, limits: ImageLimits, name: str) -> Image.Image:
    """Return the pixels that Pillow has loaded, or what is in the file that it has open."""
    if isinstance(image, ImageFile.ImageFile) and image.tile and image.fp and image.tell() == 0:
        # Nothing of it was decoded yet, so nothing was changed: its bytes are the picture.
        data = _read_back(image.fp, limits.max_bytes, name)
        if not can_load(image, data, _budget(limits)):
            return _decode(data, limits, name)
    try:
        check_pixels(image.size, None, _budget(limits))
        image.load()
        return finish(to_rgb(image), find_turn(image))
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    except DAMAGE as error:  # a file that was closed, or that Pillow had not decoded yet
        raise ImageError(f"{name}: damaged picture: {reason(error)}") from error


def _from_tensor(pixels: Tensor, limits: ImageLimits, name: str) -> Image.Image:
    if pixels.dim() == 3 and pixels.shape[-1] != 3 and pixels.shape[0] == 3:
        pixels = pixels.permute(1, 2, 0)
    if pixels.dtype != torch.uint8:
        raise ImageError(f"{name}: expected pixels of type uint8, 0 to 255, got {pixels.dtype}")
    try:
        array = pixels.detach().cpu().numpy()
    except (TypeError, RuntimeError) as error:  # sparse, or without numbers
        raise ImageError(
            f"{name}: expected pixels one by one in memory: {reason(error)}"
        ) from error
    return _from_array(array, limits, name)


def _from_array(pixels: npt.NDArray[Any], limits: ImageLimits, name: str) -> Image.Image:
    if pixels.dtype != np.uint8:
        raise ImageError(f"{name}: expected pixels of type uint8, 0 to 255, got {pixels.dtype}")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ImageError(f"{name}: expected pixels of shape (height, width, 3), got {pixels.shape}")
    try:
        check_pixels((pixels.shape[1], pixels.shape[0]), None, _budget(limits))
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    return Image.fromarray(np.ascontiguousarray(pixels))
