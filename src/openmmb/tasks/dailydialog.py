"""DailyDialog (Li et al., 2017): everyday conversations from pages for learners of English.

Raw: ``<root>/dailydialog/{train,valid or val,test}.json``, a list of ``{"dialogue": [turn, ...],
...}`` whose turns are split into tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openmmb.data.example import Example, Split
from openmmb.tasks.read import find_file, read_json, turn_examples
from openmmb.text.normalize import detokenize


@dataclass(frozen=True)
class Raw:
    """A conversation as published."""

    dialogue: list[str]


@dataclass(frozen=True)
class DailyDialog:
    """DailyDialog under ``root``."""

    root: Path

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield every turn but the first, as prose.

        Raises:
            DataError: The file is missing or malformed.
        """
        names = ("valid.json", "val.json") if split == "valid" else (f"{split}.json",)
        path = find_file(self.root / "dailydialog", *names)
        for number, row in enumerate(read_json(path, list[Raw])):
            turns = [detokenize(turn) for turn in row.dialogue]
            yield from turn_examples(
                turns,
                range(1, len(turns)),
                task="dailydialog",
                conversation=f"{split}:{number}",
            )
