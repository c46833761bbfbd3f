"""What made a folder of features; one folder never mixes two."""

import dataclasses
import json
from typing import Final

from openmmb.config import config, parse, require
from openmmb.errors import ConfigError, DataError
from openmmb.outputs import OutputKind
from openmmb.vision.features.locations import Location
from openmmb.vision.features.transfer import write

MANIFEST: Final = "manifest.json"
FOLDER: Final = OutputKind(
    "a folder of features",
    (MANIFEST,),
    ("*.arrow", "*.ids.json", "state.json", "dataset_info.json", "unreadable*.jsonl", "*.tmp"),
)
"""The folder, as what writes one knows it."""
MOST: Final = 2**20
"""Vectors of a picture, and features in each."""


@config
class Manifest:
    """Encoder and settings of a folder of features."""

    encoder: str
    """Name of the picture encoder."""

    fingerprint: str
    """Fingerprint of its weights and preprocessing."""

    num_vectors: int
    """Vectors of a picture, I."""

    feature_dim: int
    """Features in each, F."""

    flip: bool = False
    """The pictures were mirrored left to right."""

    words: bool = False
    """Beside its vectors, a picture has words for what it shows."""

    def __post_init__(self) -> None:
        for name in ("num_vectors", "feature_dim"):
            value = getattr(self, name)
            require(name, value, f"from 1 to {MOST}", holds=1 <= value <= MOST)

    @property
    def image_shape(self) -> tuple[int, int]:
        """(I, F) of every picture."""
        return self.num_vectors, self.feature_dim


def read_manifest(folder: Location) -> Manifest:
    """Read what made ``folder``.

    Raises:
        DataError: It is not a folder of features.
    """
    location = folder / MANIFEST
    try:
        return parse(Manifest, json.loads(location.read()), source=str(location))
    except OSError as error:
        reason = f"no {MANIFEST}" if isinstance(error, FileNotFoundError) else str(error)
        raise DataError(
            f"{folder}: not a folder of features: {reason}; expected one that 'openmmb features' "
            "wrote"
        ) from error
    except (ValueError, ConfigError, RecursionError) as error:
        raise DataError(f"{folder}: not a folder of features: {error}") from error


def claim(folder: Location, manifest: Manifest) -> Manifest:
    """Say in ``folder``, made if missing, what makes it, or check that it says the same.

    A folder that was begun without words goes on without them.

    Returns:
        What the folder says.

    Raises:
        ConfigError: Another encoder or other settings made it.
        DataError: What it says cannot be read.
    """
    if not (folder / MANIFEST).exists():
        folder.make_folder()
        text = json.dumps(dataclasses.asdict(manifest), indent=2) + "\n"
        write(folder / MANIFEST, text.encode())
    before = read_manifest(folder)  # another process may have come first
    for field in dataclasses.fields(Manifest):
        old, new = getattr(before, field.name), getattr(manifest, field.name)
        if old != new and field.name != "words":
            raise ConfigError(
                f"{folder}: made with {field.name} {old!r}, now {new!r}; choose another folder"
            )
    return before
