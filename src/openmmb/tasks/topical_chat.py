"""Topical-Chat (Gopalakrishnan et al., 2019): two people talk about what they have just read.

Raw: ``<root>/topical_chat/{train,valid_freq,valid_rare,test_freq,test_rare}.json``, an object from
conversation id to ``{"content": [{"agent": str, "message": str, ...}, ...], ...}``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from openmmb.data.example import Example, Split
from openmmb.tasks.read import find_file, read_json, turn_examples
from openmmb.text.normalize import tidy


@dataclass(frozen=True)
class Message:
    """One message."""

    agent: str
    message: str


@dataclass(frozen=True)
class Raw:
    """A conversation as published."""

    content: list[Message]


@dataclass(frozen=True)
class TopicalChat:
    """Topical-Chat under ``root``."""

    root: Path

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: A file is missing.
        """
        names = ("train",) if split == "train" else (f"{split}_freq", f"{split}_rare")
        folder = self.root / "topical_chat"
        return tuple(find_file(folder, f"{name}.json") for name in names)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield every turn but the first; frequent entities before rare ones.

        Raises:
            DataError: A file is missing or malformed.
        """
        for path in self.files(split):
            for conversation, row in read_json(path, dict[str, Raw]).items():
                turns = [
                    tidy(" ".join(message.message for message in messages))
                    for _, messages in groupby(row.content, key=lambda message: message.agent)
                ]
                yield from turn_examples(
                    turns, range(1, len(turns)), task="topical_chat", conversation=conversation
                )
