"""Picture encoders by name. To add one: write a function that opens it, then its line in ENCODERS.

Sizes: I image vectors, F features in each.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from openmmb.distributed import open_device
from openmmb.errors import ConfigError, unknown
from openmmb.vision import efficientnet, resnext, siglip
from openmmb.vision.image_encoder import GridEncoder, ImageEncoder


@dataclass(frozen=True)
class EncoderOptions:
    """What an encoder is opened with.

    Attributes:
        name: Its name in ENCODERS.
        device: Where it runs.
        weights: File or folder of weights, or what else the encoder finds them by; empty for an
            encoder that comes with them.
    """

    name: str
    device: torch.device
    weights: str = ""


@dataclass(frozen=True)
class Entry:
    """A line of ENCODERS.

    Attributes:
        open: Opens the encoder.
        shape: (I, F); None where the weights decide.
        licence: Of the weights.
        published: Where the weights are that one must have; empty where they come with a package
            that is installed.
    """

    open: Callable[[EncoderOptions], ImageEncoder]
    shape: tuple[int, int] | None
    licence: str
    published: str = ""


def open_efficientnet_lite0(options: EncoderOptions) -> ImageEncoder:
    """Open the 7 x 7 grid of EfficientNet-Lite0: 49 vectors of 1280 features, 0 to 6, and words."""
    network = efficientnet.load_efficientnet()
    network.fold_batch_norms()
    network.to(options.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return GridEncoder(
        name=options.name,
        num_vectors=efficientnet.NUM_VECTORS,
        feature_dim=efficientnet.FEATURE_DIM,
        fingerprint=_fingerprint([efficientnet.weights_path()], efficientnet.PREPROCESSING),
        preprocess=efficientnet.preprocess,
        network=network,
        device=options.device,
        heads=(efficientnet.load_object_head(), efficientnet.load_caption_head()),
    )


def open_faster_rcnn_x152(options: EncoderOptions) -> ImageEncoder:
    """Open the detector of Multi-Modal BlenderBot: 100 regions of 2048 features."""
    from openmmb.vision.detector.region_encoder import open_faster_rcnn

    return open_faster_rcnn(Path(options.weights), options.device)


def open_resnext(
    options: EncoderOptions, *, shape: resnext.Shape, spatial: bool, parlai: bool
) -> ImageEncoder:
    """Open a ResNeXt: the mean of its 7 x 7 grid or, ``spatial``, the 49 cells of it."""
    path = Path(options.weights)
    network = resnext.GridReader(
        resnext.load_resnext(path, shape).to(options.device), spatial=spatial, parlai=parlai
    )
    return GridEncoder(
        name=options.name,
        num_vectors=resnext.NUM_CELLS if spatial else 1,
        feature_dim=shape.feature_dim,
        fingerprint=_fingerprint([path], f"{resnext.PREPROCESSING}; {network.settings}"),
        preprocess=resnext.preprocess,
        network=network,
        device=options.device,
    )


def open_siglip2(options: EncoderOptions) -> ImageEncoder:
    """Open the grid of a SigLIP: as many vectors and features as its weights say."""
    tower = siglip.load_siglip(options.weights)
    tower.network.to(options.device)
    return GridEncoder(
        name=options.name,
        num_vectors=tower.num_vectors,
        feature_dim=tower.feature_dim,
        fingerprint=_fingerprint(tower.files, siglip.SETTINGS),
        preprocess=tower.preprocess,
        network=tower,
        device=options.device,
    )


def _resnext(group_width: int, *, spatial: bool = False, parlai: bool = False) -> Entry:
    shape = resnext.Shape(group_width)
    return Entry(
        open=partial(open_resnext, shape=shape, spatial=spatial, parlai=parlai),
        shape=(resnext.NUM_CELLS if spatial else 1, shape.feature_dim),
        licence="CC-BY-NC 4.0 (not for commercial use)",
        published=resnext.PUBLISHED[group_width],
    )


ENCODERS: dict[str, Entry] = {
    "efficientnet_lite0": Entry(open_efficientnet_lite0, (49, 1280), "Apache 2.0"),
    "faster_rcnn_x152": Entry(
        open_faster_rcnn_x152,
        (100, 2048),
        "no stated licence (trained on Visual Genome, CC-BY 4.0)",
        "https://dl.fbaipublicfiles.com/vilbert-multi-task/detectron_model.pth",
    ),
    "resnext101_32x8d_wsl": _resnext(8),
    "resnext101_32x8d_wsl_parlai": _resnext(8, parlai=True),
    "resnext101_32x8d_wsl_spatial": _resnext(8, spatial=True),
    "resnext101_32x8d_wsl_spatial_parlai": _resnext(8, spatial=True, parlai=True),
    "resnext101_32x16d_wsl": _resnext(16),
    "resnext101_32x16d_wsl_parlai": _resnext(16, parlai=True),
    "resnext101_32x16d_wsl_spatial": _resnext(16, spatial=True),
    "resnext101_32x16d_wsl_spatial_parlai": _resnext(16, spatial=True, parlai=True),
    "resnext101_32x32d_wsl": _resnext(32),
    "resnext101_32x32d_wsl_parlai": _resnext(32, parlai=True),
    "resnext101_32x32d_wsl_spatial": _resnext(32, spatial=True),
    "resnext101_32x32d_wsl_spatial_parlai": _resnext(32, spatial=True, parlai=True),
    "resnext101_32x48d_wsl": _resnext(48),
    "resnext101_32x48d_wsl_parlai": _resnext(48, parlai=True),
    "resnext101_32x48d_wsl_spatial": _resnext(48, spatial=True),
    "resnext101_32x48d_wsl_spatial_parlai": _resnext(48, spatial=True, parlai=True),
    "siglip2": Entry(open_siglip2, None, "Apache 2.0", f"https://huggingface.co/{siglip.EXAMPLE}"),
}

ALIASES: dict[str, str] = {
    "faster_r_cnn_152_32x8d": "faster_rcnn_x152",
}
"""ParlAI's name of an encoder, where it has another one here."""


def find_encoder(name: str) -> str:
    """Return the name in ENCODERS of an encoder, which may be given by ParlAI's name.

    Raises:
        ConfigError: There is no such encoder.
    """
    name = ALIASES.get(name, name)
    if name not in ENCODERS:
        raise ConfigError(unknown("picture encoder", name, ENCODERS))
    return name


def from_parlai(image_mode: str) -> str:
    """Return the encoder whose vectors a model of ParlAI was trained with.

    Args:
        image_mode: ParlAI's option of that name.
    """
    faithful = f"{image_mode}_parlai"
    return faithful if faithful in ENCODERS else ALIASES.get(image_mode, image_mode)


def open_encoder(
    name: str, *, weights: Path | str | None = None, device: str = "cpu"
) -> ImageEncoder:
    """Open the picture encoder ``name``.

    Args:
        name: One of ENCODERS or ALIASES.
        weights: Its file or folder of weights, for those that do not come with them; ``siglip2``
            also takes a name on the Hugging Face hub.
        device: Name of the device where it runs, as ``openmmb.distributed.open_device`` takes it:
            ``cpu``, ``cuda``, or ``auto`` for a graphics card if there is one.

    Raises:
        ConfigError: There is no such encoder or no such device, it needs weights and got none, or
            it got some and has its own.
        CheckpointError: The weights are damaged or of another network.
    """
    name = find_encoder(name)
    entry = ENCODERS[name]
    if entry.published and not weights:
        raise ConfigError(
            f"{name}: needs its weights, which are published at {entry.published}, "
            f"licence: {entry.licence}; use --encoder-weights PATH"
        )
    if weights:
        require_taking_weights(name, weights)
    path = str(Path(weights).expanduser()) if weights else ""
    return entry.open(EncoderOptions(name=name, device=open_device(device), weights=path))


def require_taking_weights(name: str, weights: Path | str) -> None:
    """Refuse weights for a picture encoder that has its own.

    Raises:
        ConfigError: It has, or there is no such encoder.
    """
    name = find_encoder(name)
    if not ENCODERS[name].published:
        raise ConfigError(f"{name}: expected no weights, it has its own, got {str(weights)!r}")


def _fingerprint(files: Sequence[Path], settings: str) -> str:
    """Hash all that decides the vectors of an encoder."""
    state = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: state)
    state.update(settings.encode())
    return state.hexdigest()[:16]
