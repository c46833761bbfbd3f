"""Pictures into a folder of features, once: in one process or several, however often interrupted.

A folder of features holds

    manifest.json              which encoder made it, with which settings
    <shard>.arrow              about 1000 pictures, see ``shards``
    <shard>.ids.json           their ids, and the SHA-256 of the shard
    state.json, dataset_info.json
    unreadable.jsonl           what the last run could not decode; absent if nothing

Every process that ends brings ``state.json`` up to date. It makes the folder a Hugging Face data
set, which ``datasets.load_from_disk(folder)`` opens. A shard gets its name when it is whole, so a
killed run continues with the pictures that no shard has; what it leaves behind ends in ``.tmp`` and
may be deleted.

Sizes: B pictures at a time, I image vectors, F features in each.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from PIL import Image, ImageOps

from openmmb.errors import ImageError
from openmmb.outputs import check_folder
from openmmb.vision.features import shards
from openmmb.vision.features.locations import open_location
from openmmb.vision.features.manifest import FOLDER, Manifest, claim
from openmmb.vision.features.pictures import Picture, list_pictures
from openmmb.vision.features.share import WHOLE, Share
from openmmb.vision.features.unreadable import Unreadable, forget_other_runs, write_unreadable
from openmmb.vision.image_encoder import ImageEncoder
from openmmb.vision.limits import DEFAULT_LIMITS, ImageLimits

T = TypeVar("T")
Loaded = tuple[str, Image.Image] | Unreadable
"""A picture by its id, or why there is none."""

LOADERS: Final = 4
"""Threads that read and decode the next batch while the network has the one before."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run of ``extract`` did, or this process's share of it.

    Attributes:
        written: Pictures that it encoded.
        present: Pictures whose id the folder already had.
        unreadable: Pictures that could not be decoded.
        others: Files that by their names are not pictures, of all sources.
    """

    written: int
    present: int
    unreadable: tuple[Unreadable, ...]
    others: int


def extract(
    encoder: ImageEncoder,
    sources: Sequence[Path | str],
    out: Path | str,
    *,
    batch_size: int = 16,
    flip: bool = False,
    limits: ImageLimits = DEFAULT_LIMITS,
    share: Share = WHOLE,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Encode pictures into the folder ``out``; those that it already has are left as they are.

    The id of a picture is its file name without folder and suffix. A picture that cannot be decoded
    is reported in ``out``, and tried again by the next run.

    Args:
        encoder: Makes the vectors.
        sources: Folders, lists and archives, as ``list_pictures`` takes them.
        out: Path or URL of the folder, made if missing.
        batch_size: Pictures encoded together.
        flip: Mirror each picture left to right, for a second folder to draw from in training.
        limits: Which pictures are refused.
        share: The pictures that are this process's to encode.
        progress: Called after every batch with the pictures done and all there are to do.

    Raises:
        ConfigError: ``out`` was made by another encoder or with other settings, or is no folder of
            features, a URL is of no known kind, or pyarrow is not installed.
        DataError: A source is missing or of no known kind, there are no pictures, two have the same
            id, or a shard in ``out`` is not whole.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    pictures, others = list_pictures(sources)
    folder = open_location(out)
    if folder.local is not None:
        read = (open_location(source).local for source in sources)
        check_folder(folder.local, FOLDER, sources=filter(None, read), grows=True)
    manifest = claim(folder, _manifest_of(encoder, flip=flip))
    catalogue = shards.Catalogue(folder)
    mine = [picture for picture in pictures if picture.image_id in share]
    have = catalogue.ids()
    missing = [picture for picture in mine if picture.image_id not in have]
    unreadable: list[Unreadable] = []
    written = done = 0
    with ThreadPoolExecutor(LOADERS) as pool:
        load = partial(_load, limits=limits, flip=flip)
        for group in _chunks(missing, shards.SHARD_SIZE):
            with shards.new_shard(folder, manifest, catalogue) as shard:
                for loaded in _load_ahead(pool, load, _chunks(group, batch_size)):
                    unreadable += (one for one in loaded if isinstance(one, Unreadable))
                    images = dict(one for one in loaded if not isinstance(one, Unreadable))
                    if images:
                        vectors = encoder.encode(list(images.values()))
                        words = [encoder.words(one) for one in vectors] if manifest.words else None
                        shard.add(list(images), vectors, words)
                    done += len(loaded)
                    if progress is not None:
                        progress(done, len(missing))
            written += len(shard.ids)
            write_unreadable(folder, share, unreadable)
    write_unreadable(folder, share, unreadable)
    forget_other_runs(folder, share)
    shards.write_state(folder)
    return Report(
        written=written,
        present=len(mine) - written - len(unreadable),
        unreadable=tuple(unreadable),
        others=others,
    )


def _manifest_of(encoder: ImageEncoder, *, flip: bool) -> Manifest:
    return Manifest(
        encoder=encoder.name,
        fingerprint=encoder.fingerprint,
        num_vectors=encoder.num_vectors,
        feature_dim=encoder.feature_dim,
        flip=flip,
        words=encoder.has_words,
    )


def _load(picture: Picture, *, limits: ImageLimits, flip: bool) -> Loaded:
    try:
        image = picture.load(limits)
    except ImageError as error:
        reason = str(error).removeprefix(f"{picture.name}: ")
        return Unreadable(id=picture.image_id, where=picture.name, reason=reason)
    return picture.image_id, ImageOps.mirror(image) if flip else image


def _load_ahead(
    pool: ThreadPoolExecutor,
    load: Callable[[Picture], Loaded],
    batches: Iterable[Sequence[Picture]],
) -> Iterator[list[Loaded]]:
    """Yield the batches in order; while the caller has one, the next is being loaded."""
    waiting: deque[list[Future[Loaded]]] = deque()
    for batch in batches:
        waiting.append([pool.submit(load, picture) for picture in batch])
        if len(waiting) > 1:
            yield [future.result() for future in waiting.popleft()]
    while waiting:
        yield [future.result() for future in waiting.popleft()]


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
