"""DailyDialog (Li et al., 2017): everyday conversations from pages for learners of English.

Raw: ``<root>/dailydialog/{train,valid,test}.json`` as ParlAI publishes it, lines of ``{"dialogue":
[{"text": str, ...}, ...], ...}``; or, as it is passed around converted, ``{train,val,test}.json``,
a list of ``{"dialogue": [str, ...], ...}``. Turns may be split into tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openmmb.data.example import Example, Split
from openmmb.tasks.read import find_file, read_json, read_json_lines, turn_examples
from openmmb.text.normalize import detokenize


@dataclass(frozen=True)
class Turn:
    """One turn as published."""

    text: str


@dataclass(frozen=True)
class Published:
    """A conversation as published."""

    dialogue: list[Turn]


@dataclass(frozen=True)
class Converted:
    """A conversation as converted."""

    dialogue: list[str]


@dataclass(frozen=True)
class DailyDialog:
    """DailyDialog under ``root``."""

    root: Path

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: The file is missing.
        """
        names = ("valid.json", "val.json") if split == "valid" else (f"{split}.json",)
        return (find_file(self.root / "dailydialog", *names),)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield every turn but the first, as prose.

        Raises:
            DataError: The file is missing or malformed.
        """
        (path,) = self.files(split)
        for number, raw in enumerate(_read(path)):
            turns = [detokenize(turn) for turn in raw]
            yield from turn_examples(
                turns,
                range(1, len(turns)),
                task="dailydialog",
                conversation=f"{split}:{number}",
            )


def _read(path: Path) -> Iterator[list[str]]:
    """Yield the turns of each conversation, in either form of the file."""
    with path.open("rb") as file:
        listed = file.read(1) == b"["
    if listed:
        yield from (row.dialogue for row in read_json(path, list[Converted]))
    else:
        for _, row in read_json_lines(path, Published):
            yield [turn.text for turn in row.dialogue]
