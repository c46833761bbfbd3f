"""Image vectors on disk by image id: computed once, read at random while training.

``extract`` writes the folder. Sizes: I image vectors, F features in each.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openmmb.errors import DataError
from openmmb.vision.features.locations import open_location
from openmmb.vision.features.manifest import read_manifest
from openmmb.vision.features.shards import list_shards, read_shard
from openmmb.vision.features.transfer import local_copy
from openmmb.vision.object_words import ObjectWord


class Features:
    """The image vectors in a folder that ``extract`` wrote, memory-mapped.

    The shards of a folder in a store are copied once to ``$XDG_CACHE_HOME/openmmb``, or
    ``~/.cache/openmmb``, and mapped from there.

    Args:
        folder: Path or URL of the folder; what is added to it later is not seen.

    Raises:
        ConfigError: pyarrow is not installed, or the URL is of no known kind.
        DataError: The folder is not one of features, or a shard is damaged.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = folder
        source = open_location(folder)
        self.manifest = read_manifest(source)
        self._vectors: dict[str, NDArray[np.float16]] = {}
        self._words: dict[str, Any] = {}  # Arrow scalars, which look when they are asked
        for shard, size in list_shards(source).items():
            location = source / shard
            path = local_copy(location, size)
            for rows in read_shard(location, path, self.manifest):
                self._vectors.update(zip(rows.ids, rows.vectors, strict=True))
                if rows.words is not None:
                    self._words.update(zip(rows.ids, rows.words, strict=True))

    @property
    def image_shape(self) -> tuple[int, int]:
        """(I, F) of every picture."""
        return self.manifest.image_shape

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
        self._check(image_id)
        # Two copies are quick: PyTorch converts fifty times as fast as NumPy, but wants to own it.
        return torch.from_numpy(self._vectors[image_id].copy()).float()

    def words(self, image_id: str) -> tuple[ObjectWord, ...]:
        """Return the words for what a picture shows, the likeliest first.

        There are none in a folder whose encoder has no words, or that was made before it had.

        Raises:
            DataError: There is no such picture.
        """
        self._check(image_id)
        if image_id not in self._words:
            return ()
        rows = self._words[image_id].as_py()
        return tuple(ObjectWord(row["label"], row["probability"]) for row in rows)

    def _check(self, image_id: str) -> None:
        if image_id not in self._vectors:
            raise DataError(f"{self.folder}: no picture {image_id!r} among its {len(self)}")

    def __reduce__(self) -> tuple[type["Features"], tuple[Path | str]]:
        """Pickle as the path: a worker process maps the files again instead of copying them."""
        return Features, (self.folder,)
