"""BYU Chit-Chat (Myers et al., 2020): students talk about whatever comes up.

Raw: ``<root>/chitchat/dataset.json``, or the same file inside the installed package
``chitchat-dataset``: an object from conversation id to ``{"messages": [[{"text": str, ...}, ...],
...], ...}``. A turn is all that one of the two typed before the other did.
"""

import importlib.util
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from openmmb.data.example import Example, Split
from openmmb.errors import DataError
from openmmb.tasks.read import read_json, turn_examples
from openmmb.text.normalize import tidy

# Points were given for typing, so some typed "a a a a" or "asdf" by the hundred. "I", "k" and "y"
# alone are answers.
_MASHED = re.compile(r"(?![iky]$)[a-z](?: [a-z])*|(?=.*(?:sd|df|fd))[asdfjkl; ]+", re.IGNORECASE)


@dataclass(frozen=True)
class Message:
    """One message."""

    text: str


@dataclass(frozen=True)
class Raw:
    """A conversation as published."""

    messages: list[list[Message]]


@dataclass(frozen=True)
class Chitchat:
    """BYU Chit-Chat, under ``root`` or as installed."""

    root: Path

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: The data set is neither under ``root`` nor installed, or ``split`` is not
                "train", the only one there is.
        """
        if split != "train":
            raise DataError(f"chitchat: no split {split!r}; use 'train', which has everything")
        return (_find(self.root),)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield every turn but the first.

        Left out are messages of mashed keys and messages that repeat the one before.

        Raises:
            DataError: The data set is neither under ``root`` nor installed, the file is malformed,
                or ``split`` is not "train", the only one there is.
        """
        (path,) = self.files(split)
        for conversation, row in read_json(path, dict[str, Raw]).items():
            turns = [_join(message.text for message in turn) for turn in row.messages]
            yield from turn_examples(
                turns, range(1, len(turns)), task="chitchat", conversation=conversation
            )


def _join(messages: Iterable[str]) -> str:
    """Join one turn's messages, without the mashed and the repeated."""
    kept: list[str] = []
    for message in map(tidy, messages):
        if message and not _MASHED.fullmatch(message) and message not in kept[-1:]:
            kept.append(message)
    return " ".join(kept)


def _find(root: Path) -> Path:
    path = root / "chitchat" / "dataset.json"
    if path.is_file():
        return path
    package = importlib.util.find_spec("chitchat_dataset")
    if package is None or package.origin is None:
        raise DataError(f"{path}: no such file; pip install 'openmmb[train]' brings the data set")
    return Path(package.origin).with_name("dataset.json")
