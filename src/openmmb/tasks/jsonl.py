"""Your own conversations, with or without pictures.

Raw: ``<root>/jsonl/{train,valid,test}.jsonl``, or ``<root>/jsonl/NAME/...`` for a set of that name;
a ``Conversation`` a line, as JSON. Only ``turns`` has to be there::

    {"turns": [{"speaker": "ann", "text": "Look at that!"}, {"speaker": "bo", "text": "A lynx."}],
     "image": "lynx.jpg", "persona": {"bo": ["I hike."]}, "style": {"bo": "Curious"},
     "learn": ["bo"]}
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from openmmb.config import config
from openmmb.data.example import Example, Split
from openmmb.errors import DataError
from openmmb.tasks.read import find_file, read_json_lines
from openmmb.text.normalize import tidy
from openmmb.vision.features.pictures import SUFFIXES


@config
class Turn:
    """What one speaker says."""

    speaker: str
    """Any name; only says which turns belong together."""
    text: str
    """At least one character that is seen."""

    def __post_init__(self) -> None:
        if not tidy(self.text):
            raise ValueError(f"text is empty: {self.text!r}; leave the turn out")


@config
class Conversation:
    """One line of a file.

    Raises:
        ValueError: There is no turn, nothing to learn, or something of a speaker without turns.
    """

    turns: tuple[Turn, ...]
    """In their order; those that one speaker says in a row become one."""
    image: str | None = None
    """Picture that is being talked about: its file name, with or without folder and suffix."""
    persona: dict[str, tuple[str, ...]] | None = None
    """Lines about who a speaker is, by speaker."""
    style: dict[str, str] | None = None
    """How a speaker talks, by speaker: a trait, ``positive/neutral`` or ``negative``."""
    learn: tuple[str, ...] | None = None
    """Speakers whose turns are learnt; by default all. A turn that opens a conversation is learnt
    only about a picture."""
    references: tuple[str, ...] = ()
    """Other texts that are as good as the only turn, such as a picture's other captions."""

    def __post_init__(self) -> None:
        if not self.turns:
            raise ValueError("turns is empty; expected at least one")
        speakers = list(dict.fromkeys(turn.speaker for turn in self.turns))
        for key, named in (
            ("persona", self.persona or ()),
            ("style", self.style or ()),
            ("learn", self.learn or ()),
        ):
            for name in named:
                if name not in speakers:
                    raise ValueError(
                        f"{key} names {name!r}, who says nothing; speakers are "
                        f"{', '.join(map(repr, speakers))}"
                    )
        if self.references and len(self.turns) > 1:
            raise ValueError(f"references need a single turn, got {len(self.turns)} turns")
        if not any(True for _ in _replies(self, _said(self))):
            raise ValueError(
                f"nothing to learn: {len(self.turns)} turns, learn is {self.learn}; the turn that "
                "opens a conversation is learnt only where there is an image"
            )


@dataclass(frozen=True)
class JsonLines:
    """Your conversations under ``root``.

    Attributes:
        root: The folder that holds all data sets.
        name: ``jsonl``, or ``jsonl/NAME``; the folder under ``root``.
    """

    root: Path
    name: str = "jsonl"

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: The file is missing.
        """
        return (find_file(self.root, f"{self.name}/{split}.jsonl"),)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield the turns to learn, each with all turns before it.

        Raises:
            DataError: The file is missing, or a line is not a ``Conversation``; says which.
        """
        (path,) = self.files(split)
        for number, row in read_json_lines(path, Conversation):
            said = _said(row)
            for at in _replies(row, said):
                speaker, reply = said[at]
                yield Example(
                    context=tuple(text for _, text in said[:at]),
                    reply=reply,
                    task=self.name,
                    conversation=f"{split}:{number}",
                    image_id=_image_id(path, number, row.image),
                    references=tuple(filter(None, map(tidy, row.references))),
                    persona=tuple(filter(None, map(tidy, (row.persona or {}).get(speaker, ())))),
                    style=tidy((row.style or {}).get(speaker, "")) or None,
                )


def _said(row: Conversation) -> list[tuple[str, str]]:
    """Return speakers with what they say until another one speaks."""
    return [
        (speaker, tidy(" ".join(turn.text for turn in turns)))
        for speaker, turns in groupby(row.turns, key=lambda turn: turn.speaker)
    ]


def _replies(row: Conversation, said: list[tuple[str, str]]) -> Iterator[int]:
    """Yield the places of what is learnt."""
    for at, (speaker, _) in enumerate(said):
        if (at or row.image is not None) and (row.learn is None or speaker in row.learn):
            yield at


def _image_id(path: Path, number: int, image: str | None) -> str | None:
    """Return the id that ``openmmb features`` gives to a picture file of this name."""
    if image is None:
        return None
    name = PurePosixPath(image)
    image_id = name.stem if name.suffix.lower() in SUFFIXES else name.name
    if not image_id:
        raise DataError(f"{path}: line {number}: image is {image!r}; expected a file name")
    return image_id
