"""The shards of a folder of features: how they are written, listed and read.

``<number>-<digest>.arrow`` is an Arrow stream with two columns: ``id``, a string, and ``image``,
I x F float16; and a third one where the manifest says so: ``words``, a list of ``label``, a string,
and ``probability``, float32. The digest begins the SHA-256 of its bytes: two processes never write
different shards of one name. Beside it, and written before it, ``<number>-<digest>.ids.json`` lists
the pictures, so that a run continues without reading any vectors, and what the bytes must be.

Sizes: B pictures at a time, I image vectors, F features in each.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openmmb.config import config, parse
from openmmb.errors import ConfigError, DataError
from openmmb.vision.features.locations import Location
from openmmb.vision.features.manifest import Manifest
from openmmb.vision.features.transfer import put, scratch, write
from openmmb.vision.object_words import ObjectWord

SHARD_SIZE: Final = 1000
"""Pictures in a shard, and so the most that a killed process loses."""

STATE: Final = "state.json"

_SUFFIX: Final = ".arrow"


@config
class ShardIndex:
    """What is in a shard."""

    sha256: str
    """SHA-256 of its bytes, in hexadecimal digits."""

    num_bytes: int
    """Its length."""

    ids: tuple[str, ...]
    """Image ids in the order of its rows."""


def list_shards(folder: Location) -> dict[str, int]:
    """Return the bytes of each shard by its name, in the order of their rows in the data set."""
    return {name: size for name, size in folder.sizes().items() if name.endswith(_SUFFIX)}


def read_index(folder: Location, shard: str, size: int) -> ShardIndex:
    """Read what is in the shard of that name and that many bytes.

    Raises:
        DataError: There is no index of it, or it is of another size.
    """
    location = _index_of(folder, shard)
    try:
        index = parse(ShardIndex, json.loads(location.read()), source=str(location))
    except (OSError, ValueError, ConfigError) as error:
        raise damaged(folder / shard, f"no index: {error}") from error
    if size != index.num_bytes:
        raise damaged(folder / shard, f"{size} bytes, expected {index.num_bytes}")
    return index


class Catalogue:
    """The image ids in the shards of a folder; of the shards, each is looked at once.

    Args:
        folder: A folder of features; without shards, or not yet there, it has no ids.
    """

    def __init__(self, folder: Location) -> None:
        self._folder = folder
        self._seen: set[str] = set()
        self._ids: set[str] = set()

    def ids(self) -> set[str]:
        """Return the ids that the folder has by now, from this process and from others.

        Raises:
            DataError: A shard is not whole.
        """
        for shard, size in list_shards(self._folder).items():
            if shard not in self._seen:
                self._ids.update(read_index(self._folder, shard, size).ids)
                self._seen.add(shard)
        return self._ids


@dataclass(frozen=True, slots=True)
class NewShard:
    """A shard that is being written.

    Attributes:
        ids: The image ids in it; after it was kept, without those that others wrote meanwhile.
    """

    _writer: Any
    _schema: Any
    ids: list[str] = field(default_factory=list)

    def add(
        self,
        ids: Sequence[str],
        vectors: Tensor,
        words: Sequence[Sequence[ObjectWord]] | None = None,
    ) -> None:
        """Add pictures with their vectors (B, I, F), and their words if the folder has words.

        Raises:
            ValueError: Numbers are beyond float16 or none at all.
        """
        pa = _pyarrow()
        column = pa.array(_to_half(vectors).reshape(-1))
        image = self._schema.field("image").type
        for kind in (image.value_type, image):
            column = pa.FixedSizeListArray.from_arrays(column, type=kind)
        columns = [pa.array(ids), column]
        if words is not None:
            rows = [[word._asdict() for word in one] for one in words]
            columns.append(pa.array(rows, type=self._schema.field("words").type))
        batch = pa.record_batch(columns, schema=self._schema)
        self._writer.write_batch(batch)
        self.ids.extend(ids)


@contextmanager
def new_shard(folder: Location, manifest: Manifest, catalogue: Catalogue) -> Iterator[NewShard]:
    """Open one more shard of ``folder``.

    It is kept when the block ends without an error, unless it is empty. What other processes have
    written by then is left out of it, so that no picture is there twice, but in the unlikely case
    that they keep theirs within the moment that this takes.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    schema = shard_schema(manifest)
    with scratch(folder) as temporary:
        with temporary.open("wb") as file, _pyarrow().ipc.new_stream(file, schema) as writer:
            shard = NewShard(writer, schema)
            yield shard
        taken = catalogue.ids().intersection(shard.ids)
        if taken:
            shard.ids[:] = _leave_out(temporary, taken)
        if shard.ids:
            _keep(folder, temporary, shard.ids)


def _leave_out(path: Path, taken: set[str]) -> list[str]:
    """Rewrite a shard without the pictures ``taken``; return the ids that stay."""
    pa = _pyarrow()
    rows = pa.ipc.open_stream(path.read_bytes()).read_all()
    rows = rows.filter(pa.array([key not in taken for key in rows["id"].to_pylist()]))
    with path.open("wb") as file, pa.ipc.new_stream(file, rows.schema) as writer:
        writer.write_table(rows)
    ids: list[str] = rows["id"].to_pylist()
    return ids


def _keep(folder: Location, temporary: Path, ids: Sequence[str]) -> None:
    digest = sha256_of(temporary)
    index = ShardIndex(sha256=digest, num_bytes=temporary.stat().st_size, ids=tuple(ids))
    shard = f"{len(list_shards(folder)):05d}-{digest[:16]}{_SUFFIX}"
    write(_index_of(folder, shard), json.dumps(asdict(index)).encode())
    put(temporary, folder / shard)


@dataclass(frozen=True, slots=True)
class Rows:
    """B pictures of a shard, which stay on disk until they are looked at.

    Attributes:
        ids: Their image ids.
        vectors: (B, I, F).
        words: An Arrow array, for each picture a list of its words; None in a folder without.
    """

    ids: list[str]
    vectors: NDArray[np.float16]
    words: Any


def read_shard(location: Location, path: Path, manifest: Manifest) -> Iterator[Rows]:
    """Yield the pictures of a shard, some at a time.

    Args:
        location: The shard, for messages.
        path: Where its bytes are on this machine.
        manifest: Of its folder.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: It is damaged.
    """
    pa = _pyarrow()
    try:
        with pa.ipc.open_stream(pa.memory_map(str(path))) as stream:
            right = stream.schema.equals(shard_schema(manifest))
            batches = list(stream) if right else []
    except (OSError, pa.ArrowException) as error:
        raise damaged(location, str(error)) from error
    if not right:
        shape = manifest.image_shape
        raise damaged(location, f"not the vectors of shape {shape} that the manifest promises")
    for batch in batches:
        try:
            yield _rows_of(batch, manifest)
        except ValueError as error:  # Arrow's own are of this kind
            raise damaged(location, str(error)) from error


def _rows_of(batch: Any, manifest: Manifest) -> Rows:
    batch.validate(full=True)  # looking into one that is damaged can end the process
    # The formatting layer of `datasets` takes thirty times as long for a row.
    flat = batch.column("image").flatten().flatten().to_numpy(zero_copy_only=True)
    return Rows(
        ids=batch.column("id").to_pylist(),
        vectors=flat.reshape(batch.num_rows, *manifest.image_shape),
        words=batch.column("words") if manifest.words else None,
    )


def shard_schema(manifest: Manifest) -> Any:
    """Return the Arrow schema of the shards of a folder.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    pa = _pyarrow()
    num_vectors, feature_dim = manifest.image_shape
    image = pa.list_(pa.list_(pa.float16(), feature_dim), num_vectors)
    columns = {"id": pa.string(), "image": image}
    if manifest.words:
        columns["words"] = pa.list_(pa.struct({"label": pa.string(), "probability": pa.float32()}))
    return pa.schema(columns)


def write_state(folder: Location) -> None:
    """Write the two files that ``datasets.load_from_disk`` looks for.

    Several processes may end at once. Each lists the shards, writes, and lists them again until
    none came meanwhile; whoever adds a shard writes after that. So the last to write knows all.
    """
    write(folder / "dataset_info.json", b"{}\n")
    written: list[str] | None = None
    while (names := list(list_shards(folder))) != written:
        state: dict[str, Any] = {
            "_data_files": [{"filename": name} for name in names],
            "_fingerprint": hashlib.sha256("\n".join(names).encode()).hexdigest()[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": None,
        }
        write(folder / STATE, (json.dumps(state, indent=2) + "\n").encode())
        written = names


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _index_of(folder: Location, shard: str) -> Location:
    return folder / f"{shard.removesuffix(_SUFFIX)}.ids.json"


def damaged(shard: Location, reason: str) -> DataError:
    """Make the error of a shard that is not as it was written."""
    return DataError(f"{shard}: damaged: {reason}; delete it and extract again")


def _to_half(vectors: Tensor) -> NDArray[np.float16]:
    half: NDArray[np.float16] = vectors.to(torch.float16).numpy()
    if not np.isfinite(half).all():  # six times as fast as PyTorch's, for float16
        raise ValueError(f"features are beyond float16 or not numbers: {vectors.abs().max()}")
    return half


def _pyarrow() -> Any:
    # It comes with `datasets`. Talking to a model needs neither, hence no import at the top.
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise ConfigError("features need pyarrow: pip install 'openmmb[train]'") from error
    return pyarrow
