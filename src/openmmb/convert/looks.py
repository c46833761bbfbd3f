"""Which picture encoder's vectors a model of ParlAI's knows, as far as its options say.

Sizes: I image vectors, F features in each.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openmmb.convert.adopt import image_shape
from openmmb.errors import CheckpointError, ConfigError, unknown
from openmmb.vision.encoders import ALIASES, ENCODERS, find_encoder, from_parlai

WITHOUT_VECTORS: Final = ("raw", "none", "no_image_model", "ascii")
"""Image modes that yield no image vectors: what ``model.opt`` has of the card's first command."""
OTHERS: Final = tuple(
    f"resnet{depth}{kind}" for depth in (18, 34, 50, 101, 152) for kind in ("", "_spatial")
)
"""Image modes of ParlAI's that have no picture encoder here."""


@dataclass(frozen=True)
class Looks:
    """Whose image vectors a model knows.

    Attributes:
        encoder: The picture encoder; a name that is none here if nobody knows.
        notes: What a person should know of it.
    """

    encoder: str
    notes: tuple[str, ...] = ()


def find_looks(mode: str, shape: tuple[int, int], asked: str | None, path: Path) -> Looks:
    """Return whose image vectors a model knows.

    Args:
        mode: ParlAI's ``image_mode``.
        shape: (I, F) that the network takes.
        asked: The picture encoder that a person names, if one does.
        path: ``model.opt``, for messages.

    Raises:
        CheckpointError: ``mode`` is none of ParlAI's, or ``asked`` contradicts it or the network.
    """
    named = _named(mode, path)
    if asked is not None:
        return _asked(asked, named, mode, shape, path)
    if named is not None:
        if ENCODERS[named].shape == shape:
            return Looks(named)
        return Looks(
            named,
            (
                f"pictures: {named} does not give {_told(shape)}, which this network "
                "takes; it can look at none",
            ),
        )
    fits = [name for name, entry in ENCODERS.items() if entry.shape == shape]
    if len(fits) == 1:
        return Looks(
            fits[0],
            (f"pictures: image_mode is {mode!r}; {fits[0]} gives {_told(shape)} and is taken",),
        )
    which = (
        f"several give {_told(shape)}, as {fits[0]}" if fits else f"none here gives {_told(shape)}"
    )
    return Looks(
        mode,
        (
            f"pictures: image_mode is {mode!r}, which names no picture encoder of this "
            f"project, and {which}; to look at any, convert it with --encoder NAME",
        ),
    )


def _named(mode: str, path: Path) -> str | None:
    named = from_parlai(mode)
    if named in ENCODERS:
        return named
    if mode in (*WITHOUT_VECTORS, *OTHERS):
        return None
    known = (*WITHOUT_VECTORS, *OTHERS, *ALIASES, *ENCODERS)
    raise CheckpointError(f"{path}: image_mode: {unknown('image mode', mode, known)}")


def _asked(asked: str, named: str | None, mode: str, shape: tuple[int, int], path: Path) -> Looks:
    try:
        encoder = find_encoder(asked)
    except ConfigError as error:
        raise CheckpointError(f"encoder: {error}") from error
    if named not in (None, encoder):
        raise CheckpointError(
            f"{path}: image_mode is {mode!r}, so the model knows the image vectors of {named}, not "
            f"of {encoder}; leave --encoder out"
        )
    if image_shape(encoder) != shape:
        raise CheckpointError(
            f"encoder: {encoder} gives {_told(image_shape(encoder))}, but the network of {path} "
            f"takes {_told(shape)}"
        )
    return Looks(encoder)


def _told(shape: tuple[int, int]) -> str:
    return f"{shape[0]} vectors of {shape[1]}"
