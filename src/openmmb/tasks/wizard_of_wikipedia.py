"""Wizard of Wikipedia (Dinan et al., 2019): one of two who talk about a topic reads about it.

Raw: ``<root>/wizard_of_wikipedia/train.json`` and ``{valid,test}_{random,topic}_split.json``, a
list of ``{"chosen_topic": str, "dialog": [{"speaker": "0_Wizard", "text": str, ...}, ...], ...}``.
What the wizard read is left out, as it is in Multi-Modal BlenderBot's contexts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openmmb.data.example import Example, Split
from openmmb.tasks.read import find_file, read_rows, turn_examples
from openmmb.text.normalize import tidy


@dataclass(frozen=True)
class Turn:
    """One turn as published."""

    speaker: str
    text: str


@dataclass(frozen=True)
class Raw:
    """A conversation as published."""

    chosen_topic: str
    dialog: list[Turn]


@dataclass(frozen=True)
class WizardOfWikipedia:
    """Wizard of Wikipedia under ``root``.

    Attributes:
        root: The folder that holds all data sets.
        both_sides: Also learn the apprentice's turns but an opening one, and the wizard's last
            turn where the original leaves it out.
        unseen: Validate and test on topics that the train split does not have.
    """

    root: Path
    both_sides: bool = False
    unseen: bool = False

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: The file is missing.
        """
        kind = "topic_split" if self.unseen else "random_split"
        name = "train.json" if split == "train" else f"{split}_{kind}.json"
        return (find_file(self.root / "wizard_of_wikipedia", name),)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield the wizard's turns; the topic comes before the first turn of every context.

        As in ParlAI, a conversation that the wizard begins loses the wizard's last turn, unless
        ``both_sides`` is asked for.

        Raises:
            DataError: The file is missing or malformed.
        """
        task = "wizard_of_wikipedia_unseen" if self.unseen else "wizard_of_wikipedia"
        (path,) = self.files(split)
        for number, row in enumerate(read_rows(path, Raw)):
            topic = tidy(row.chosen_topic)
            yield from turn_examples(
                [tidy(turn.text) for turn in row.dialog],
                self._replies(row.dialog),
                task=task,
                conversation=f"{split}:{number}",
                opening=(topic,) if topic else (),
            )

    def _replies(self, dialog: list[Turn]) -> range:
        """Return the places of the turns to learn."""
        wizard_begins = bool(dialog) and "Wizard" in dialog[0].speaker
        if self.both_sides:
            return range(0 if wizard_begins else 1, len(dialog))
        if wizard_begins:
            return range(0, (len(dialog) - 1) // 2 * 2, 2)
        return range(1, len(dialog), 2)
