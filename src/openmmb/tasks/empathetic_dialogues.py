"""EmpatheticDialogues (Rashkin et al., 2019): a speaker tells of a feeling, a listener answers.

Raw: ``<root>/empathetic_dialogues/{train,valid,test}.csv``, columns ``conv_id, utterance_idx,
context, prompt, speaker_idx, utterance, selfeval, tags``. Not quite CSV: commas within a field are
written ``_comma_`` and quotes mean nothing. The published evaluation files have a ninth column of
candidate replies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from openmmb.data.example import Example, Split
from openmmb.errors import DataError
from openmmb.tasks.read import find_file, read_lines, turn_examples
from openmmb.text.normalize import tidy

_HEADER = "conv_id,utterance_idx,"


class _Row(NamedTuple):
    conversation: str
    number: int
    utterance: str


@dataclass(frozen=True)
class EmpatheticDialogues:
    """EmpatheticDialogues under ``root``.

    Attributes:
        root: The folder that holds all data sets.
        both_sides: Learn the speaker too when evaluating, not only when training.
    """

    root: Path
    both_sides: bool = False

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: The file is missing.
        """
        return (find_file(self.root / "empathetic_dialogues", f"{split}.csv"),)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield the listener's turns, and in training the speaker's but the first.

        These are the replies of ParlAI's teacher, which yields a conversation's listener first,
        then its speaker, and leaves the opening turn out of the speaker's contexts; here a context
        is always whole.

        Raises:
            DataError: The file is missing or malformed.
        """
        (path,) = self.files(split)
        both = self.both_sides or split == "train"
        for conversation, rows in groupby(_read(path), key=lambda row: row.conversation):
            turns = _in_order(path, list(rows))
            yield from turn_examples(
                turns,
                range(1, len(turns), 1 if both else 2),
                task="empathetic_dialogues",
                conversation=conversation,
            )


def _read(path: Path) -> Iterator[_Row]:
    for number, line in read_lines(path):
        fields = line.split(",")
        if number == 1:
            if not line.startswith(_HEADER):
                raise DataError(f"{path}: line 1: {line[:60]!r}; expected it to begin {_HEADER!r}")
        elif len(fields) not in (8, 9) or not fields[1].isdecimal():
            raise DataError(
                f"{path}: line {number}: {line[:60]!r}; expected 8 or 9 fields, the second a number"
            )
        else:
            utterance = tidy(fields[5].replace("_comma_", ","))
            yield _Row(fields[0], int(fields[1]), utterance)


def _in_order(path: Path, rows: list[_Row]) -> list[str]:
    """Return the utterances; they alternate only if they are numbered without a gap."""
    numbers = [row.number for row in rows]
    if numbers != list(range(1, len(rows) + 1)):
        raise DataError(
            f"{path}: conversation {rows[0].conversation!r}: utterances numbered {numbers}; "
            f"expected 1 to {len(rows)}"
        )
    return [row.utterance for row in rows]
