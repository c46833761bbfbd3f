"""Image vectors on disk by image id: computed once, read at random while training.

A folder of features holds

    manifest.json          which encoder made them, with which settings
    00000-<digest>.arrow   about 1000 pictures: ``id``, a string, and ``image``, I x F float16
    state.json, dataset_info.json

The last two are written when a run ends and make the folder a Hugging Face data set, which
``datasets.load_from_disk(folder)`` opens. A shard gets its name when it is whole, so a killed run
continues with the pictures that no shard has; what it leaves behind ends in ``.tmp`` and may be
deleted. The digest is of the ids inside: two runs at once cannot overwrite each other's shards.

Sizes: B pictures at a time, I image vectors, F features in each.
"""

import dataclasses
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from openmmb.config import config, parse
from openmmb.errors import ConfigError, DataError, ImageError
from openmmb.vision.encoders import ImageEncoder
from openmmb.vision.image import DEFAULT_LIMITS, ImageLimits
from openmmb.vision.pictures import Picture, list_pictures

T = TypeVar("T")

SHARD_SIZE: Final = 1000
"""Pictures in a shard, and so the most that a killed run loses."""


@config
class Manifest:
    """What made a folder of features; one folder never mixes two."""

    encoder: str
    """Name of the picture encoder."""

    fingerprint: str
    """Fingerprint of its weights and preprocessing."""

    num_vectors: int
    """I."""

    feature_dim: int
    """F."""

    flip: bool = False
    """The pictures were mirrored left to right."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run of ``extract`` did.

    Attributes:
        written: Pictures that it encoded.
        present: Pictures whose id the folder already had.
        unreadable: One line for each picture that could not be decoded, with the reason.
        others: Files that by their names are not pictures.
    """

    written: int
    present: int
    unreadable: tuple[str, ...]
    others: int


class Features:
    """The image vectors in a folder that ``extract`` wrote, memory-mapped.

    Args:
        folder: The folder; what is added to it later is not seen.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: The folder is not one of features, or a shard is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read_manifest(folder)
        self._vectors: dict[str, NDArray[np.float16]] = {}
        for ids, vectors in _read_shards(folder, self.image_shape):
            self._vectors.update(zip(ids, vectors, strict=True))

    @property
    def image_shape(self) -> tuple[int, int]:
        """(I, F) of every picture."""
        return self.manifest.num_vectors, self.manifest.feature_dim

    def __len__(self) -> int:
        return len(self._vectors)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._vectors

    def __iter__(self) -> Iterator[str]:
        """Yield the image ids."""
        return iter(self._vectors)

    def __getitem__(self, image_id: str) -> Tensor:
        """Return the vectors (I, F) of a picture as float32, a copy of its own.

        Raises:
            DataError: There is no such picture.
        """
        if image_id not in self._vectors:
            raise DataError(f"{self.folder}: no picture {image_id!r} among its {len(self)}")
        # Two copies are quick: PyTorch converts fifty times as fast as NumPy, but wants to own it.
        return torch.from_numpy(self._vectors[image_id].copy()).float()

    def __reduce__(self) -> tuple[type["Features"], tuple[Path]]:
        """Pickle as the path: a worker process maps the files again instead of copying them."""
        return Features, (self.folder,)


def extract(
    encoder: ImageEncoder,
    sources: Sequence[Path],
    out: Path,
    *,
    batch_size: int = 16,
    flip: bool = False,
    limits: ImageLimits = DEFAULT_LIMITS,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Encode pictures into the folder ``out``; those that it already has are left as they are.

    The id of a picture is its file name without folder and suffix.

    Args:
        encoder: Makes the vectors.
        sources: Folders (searched to any depth), ``.txt`` lists of files, one path a line, relative
            to the list, and uncompressed ``.tar`` archives.
        out: The folder, made if missing.
        batch_size: Pictures encoded together.
        flip: Mirror each picture left to right, for a second folder to draw from in training.
        limits: Which pictures are refused.
        progress: Called after every batch with the pictures done so far and all there are.

    Raises:
        ConfigError: ``out`` was made by another encoder or with other settings, or pyarrow is not
            installed.
        DataError: A source is missing or of no known kind, two pictures have the same id, or a
            shard in ``out`` is damaged.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    pictures, others = list_pictures(sources)
    _claim(out, encoder, flip=flip)
    shape = (encoder.num_vectors, encoder.feature_dim)
    have = {image_id for ids, _ in _read_shards(out, shape) for image_id in ids}
    missing = [picture for picture in pictures if picture.image_id not in have]
    done = present = len(pictures) - len(missing)
    unreadable: list[str] = []
    for group in _chunks(missing, SHARD_SIZE):
        with _new_shard(out, shape) as add:
            for batch in _chunks(group, batch_size):
                images = _load(batch, limits, unreadable)
                if flip:
                    images = {key: ImageOps.mirror(image) for key, image in images.items()}
                if images:
                    add(list(images), encoder.encode(list(images.values())))
                done += len(batch)
                if progress is not None:
                    progress(done, len(pictures))
    _describe(out)
    written = len(missing) - len(unreadable)
    return Report(written=written, present=present, unreadable=tuple(unreadable), others=others)


def _load(
    batch: Sequence[Picture], limits: ImageLimits, unreadable: list[str]
) -> dict[str, Image.Image]:
    """Decode a batch by image id; what fails is told in ``unreadable``."""
    images: dict[str, Image.Image] = {}
    for picture in batch:
        try:
            images[picture.image_id] = picture.load(limits)
        except ImageError as error:
            unreadable.append(str(error))
    return images


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _claim(out: Path, encoder: ImageEncoder, *, flip: bool) -> None:
    """Say in ``out`` what makes it, or check that the same encoder and settings did."""
    now = Manifest(
        encoder=encoder.name,
        fingerprint=encoder.fingerprint,
        num_vectors=encoder.num_vectors,
        feature_dim=encoder.feature_dim,
        flip=flip,
    )
    if not (out / "manifest.json").exists():
        out.mkdir(parents=True, exist_ok=True)
        _write_json(out / "manifest.json", dataclasses.asdict(now))
        return
    before = _read_manifest(out)
    for field in dataclasses.fields(Manifest):
        old, new = getattr(before, field.name), getattr(now, field.name)
        if old != new:
            raise ConfigError(
                f"{out}: made with {field.name} {old!r}, now {new!r}; choose another folder"
            )


def _read_manifest(folder: Path) -> Manifest:
    path = folder / "manifest.json"
    try:
        return parse(Manifest, json.loads(path.read_text(encoding="utf-8")), source=str(path))
    except (OSError, ValueError, ConfigError) as error:
        raise DataError(f"{folder}: not a folder of features: {error}") from error


@contextmanager
def _new_shard(
    out: Path, shape: tuple[int, int]
) -> Iterator[Callable[[Sequence[str], Tensor], None]]:
    """Open a function that adds ids and their vectors (B, I, F) to one more shard of ``out``."""
    pa = _pyarrow()
    vector = pa.list_(pa.float16(), shape[1])
    image = pa.list_(vector, shape[0])
    schema = pa.schema({"id": pa.string(), "image": image})
    written: list[str] = []

    def add(ids: Sequence[str], vectors: Tensor) -> None:
        column = pa.array(_to_half(vectors).reshape(-1))
        for kind in (vector, image):
            column = pa.FixedSizeListArray.from_arrays(column, type=kind)
        writer.write_batch(pa.record_batch([pa.array(ids), column], schema=schema))
        written.extend(ids)

    temporary = out / f"{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as file, pa.ipc.new_stream(file, schema) as writer:
            yield add
            writer.close()
            file.flush()
            os.fsync(file.fileno())  # so that no crash leaves half a shard under a whole one's name
        if written:
            number = len(list(out.glob("*.arrow")))
            temporary.rename(out / f"{number:05d}-{_digest(written)}.arrow")
    finally:
        temporary.unlink(missing_ok=True)


def _to_half(vectors: Tensor) -> NDArray[np.float16]:
    half = vectors.to(torch.float16)
    if not half.isfinite().all():
        raise ValueError(f"features are beyond float16 or not numbers: {vectors.abs().max()}")
    array: NDArray[np.float16] = half.numpy()
    return array


def _read_shards(
    folder: Path, shape: tuple[int, int]
) -> Iterator[tuple[list[str], NDArray[np.float16]]]:
    """Yield B ids and their vectors (B, I, F), which stay on disk until they are looked at."""
    pa = _pyarrow()
    for path in sorted(folder.glob("*.arrow")):
        try:
            batches = list(pa.ipc.open_stream(pa.memory_map(str(path))))
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: damaged: {error}; delete it and extract again") from error
        for batch in batches:
            # The formatting layer of `datasets` takes thirty times as long for a row.
            flat = batch.column("image").flatten().flatten().to_numpy(zero_copy_only=True)
            yield batch.column("id").to_pylist(), flat.reshape(-1, *shape)


def _describe(out: Path) -> None:
    """Write the two files that ``datasets.load_from_disk`` looks for."""
    names = sorted(path.name for path in out.glob("*.arrow"))
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": _digest(names),
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    _write_json(out / "dataset_info.json", {})
    _write_json(out / "state.json", state)


def _digest(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _write_json(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def _pyarrow() -> Any:
    # It comes with `datasets`. Talking to a model needs neither, hence no import at the top.
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise ConfigError("features need pyarrow: pip install 'openmmb[train]'") from error
    return pyarrow
