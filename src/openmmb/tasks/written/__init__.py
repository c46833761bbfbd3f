"""Dialogues written for this project that come with the package; ``README.md`` says what.

Raw: ``<kind>.jsonl`` beside this file, in the form of ``tasks/jsonl.py``. ``written`` is all of
them but the captions, ``written/<kind>`` one of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openmmb.data.example import Example, Split
from openmmb.errors import DataError
from openmmb.tasks.jsonl import read_conversations

NAME = "written"
CAPTIONS = "captions"
KINDS = (
    "captions",
    "midway",
    "pictures",
    "styled",
    "talk_care",
    "talk_days",
    "talk_life",
    "talk_memory",
    "talk_persona",
    "talk_self",
    "talk_small",
)


@dataclass(frozen=True)
class Written:
    """The dialogues of this package.

    Attributes:
        root: Not looked at; other data sets lie there.
        kind: One of ``KINDS``; None: all but the captions.
    """

    root: Path
    kind: str | None = None

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: The split is not ``train``.
        """
        if split != "train":
            raise DataError(f"{NAME}: no split {split!r}; use 'train', which has everything")
        kinds = [kind for kind in KINDS if kind != CAPTIONS] if self.kind is None else [self.kind]
        return tuple(Path(__file__).with_name(f"{kind}.jsonl") for kind in kinds)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield the turns to learn, each with all turns before it.

        Raises:
            DataError: The split is not ``train``.
        """
        name = NAME if self.kind is None else f"{NAME}/{self.kind}"
        for path in self.files(split):
            yield from read_conversations(path, task=name, group=path.stem)
