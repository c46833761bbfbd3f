"""Whether a folder of features holds what it should: every picture once, every byte as written."""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openmmb.errors import ConfigError, DataError
from openmmb.vision.features.locations import Location, open_location
from openmmb.vision.features.manifest import Manifest, read_manifest
from openmmb.vision.features.pictures import list_pictures
from openmmb.vision.features.shards import (
    STATE,
    damaged,
    list_shards,
    read_index,
    read_shard,
    sha256_of,
)
from openmmb.vision.features.transfer import download
from openmmb.vision.features.unreadable import read_unreadable


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in a folder of features.

    Attributes:
        listed: Pictures that it should have.
        missing: Image ids of those that no undamaged shard has.
        unreadable: Image ids of the missing that the last run could not decode.
        duplicate: Image ids that are there more than once, each with its shards.
        damaged: One line for each damaged file, with the reason.
        others: Pictures that are there without being listed; nothing is wrong with that.
    """

    listed: int
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    duplicate: tuple[str, ...]
    damaged: tuple[str, ...]
    others: int

    @property
    def whole(self) -> bool:
        """Every listed picture is there once, and nothing is damaged."""
        return not (self.missing or self.duplicate or self.damaged)


def verify(
    out: Path | str,
    sources: Sequence[Path | str],
    *,
    encoder: str,
    flip: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Findings:
    """Read every byte of the folder ``out`` and compare it with what ``extract`` would write.

    The pictures themselves are not encoded again.

    Args:
        out: Path or URL of a folder of features.
        sources: Where the pictures are, as for ``extract``.
        encoder: Name of the encoder that made it.
        flip: It is of mirrored pictures.
        progress: Called after every shard with the shards done and all there are.

    Raises:
        ConfigError: Another encoder made it, the mirroring is another, a URL is of no known kind,
            or pyarrow is not installed.
        DataError: It is not a folder of features, a source is missing or of no known kind, or two
            pictures have the same id.
    """
    folder = open_location(out)
    manifest = read_manifest(folder)
    for name, asked in (("encoder", encoder), ("flip", flip)):
        made = getattr(manifest, name)
        if made != asked:
            raise ConfigError(f"{folder}: made with {name} {made!r}, not {asked!r}")
    pictures, _ = list_pictures(sources)
    listed = {picture.image_id for picture in pictures}
    shards_of: dict[str, list[str]] = {}
    broken: list[str] = []
    shards = list_shards(folder)
    for done, (shard, size) in enumerate(shards.items(), start=1):
        try:
            for image_id in _check_shard(folder, shard, size, manifest):
                shards_of.setdefault(image_id, []).append(shard)
        except DataError as error:
            broken.append(str(error))
        if progress is not None:
            progress(done, len(shards))
    broken += _check_state(folder, list(shards))
    missing = sorted(listed - shards_of.keys())
    reported = {picture.id for picture in read_unreadable(folder)}
    return Findings(
        listed=len(listed),
        missing=tuple(missing),
        unreadable=tuple(image_id for image_id in missing if image_id in reported),
        duplicate=tuple(
            f"{image_id}: in {' and '.join(names)}"
            for image_id, names in shards_of.items()
            if len(names) > 1
        ),
        damaged=tuple(broken),
        others=len(shards_of.keys() - listed),
    )


def _check_shard(folder: Location, shard: str, size: int, manifest: Manifest) -> list[str]:
    """Return the image ids of a shard, row by row.

    Raises:
        DataError: It is damaged.
    """
    index = read_index(folder, shard, size)
    location = folder / shard
    with tempfile.TemporaryDirectory() as scratch:
        path = location.local
        if path is None:  # what the store has, not a copy that may have been made when it was right
            path = Path(scratch, shard)
            download(location, path)
        digest = sha256_of(path)
        if digest != index.sha256:
            raise damaged(location, f"SHA-256 {digest}, expected {index.sha256}")
        ids: list[str] = []
        for rows in read_shard(location, path, manifest):
            ids += rows.ids
            if not np.isfinite(rows.vectors).all():
                raise damaged(location, "not all of its numbers are finite")
    if ids != list(index.ids):
        raise damaged(location, "other pictures than its index lists")
    return ids


def _check_state(folder: Location, shards: Sequence[str]) -> list[str]:
    """Return what is wrong with the list of shards that ``datasets`` goes by."""
    location = folder / STATE
    try:
        listed = [file["filename"] for file in json.loads(location.read())["_data_files"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        return [f"{location}: damaged: {error}; the next run writes it anew"]
    wrong = [f"lists {name}, which is missing" for name in listed if name not in shards]
    wrong += [f"lacks {name}" for name in shards if name not in listed]
    return [f"{location}: {reason}; the next run writes it anew" for reason in wrong]
