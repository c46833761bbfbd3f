"""Dialogues about Flickr8k's photographs that come with this package; ``README.md`` says what.

Raw: ``train.jsonl`` beside this file, in the form of ``tasks/jsonl.py``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openmmb.data.example import Example, Split
from openmmb.errors import DataError
from openmmb.tasks.jsonl import JsonLines

NAME = "picture_talk"


@dataclass(frozen=True)
class PictureTalk:
    """The dialogues of this package.

    Attributes:
        root: Not looked at; other data sets lie there.
    """

    root: Path

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: The split is not ``train``.
        """
        if split != "train":
            raise DataError(f"{NAME}: no split {split!r}; use 'train', which has everything")
        return self._lines().files(split)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield the turns to learn, each with all turns before it.

        Raises:
            DataError: The split is not ``train``.
        """
        self.files(split)
        return self._lines().examples(split)

    def _lines(self) -> JsonLines:
        return JsonLines(Path(__file__).parents[1], NAME)
