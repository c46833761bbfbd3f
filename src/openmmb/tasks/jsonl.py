"""Your own conversations, with or without pictures.

Raw: ``<root>/jsonl/{train,valid,test}.jsonl``, or ``<root>/jsonl/NAME/...`` for a set of that name;
a ``Conversation`` a line, as JSON. Only ``turns`` has to be there::

    {"turns": [{"speaker": "ann", "text": "Look at that!"}, {"speaker": "bo", "text": "A lynx."}],
     "image": "lynx.jpg", "persona": {"bo": ["I hike."]}, "style": {"bo": "Curious"},
     "learn": ["bo"]}

A turn may have an ``image`` too, one that its speaker shows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from openmmb.config import config
from openmmb.data.example import Example, Split
from openmmb.tasks.read import find_file, read_json_lines
from openmmb.text.normalize import tidy
from openmmb.vision.image_ids import image_id_of


@config
class Turn:
    """What one speaker says."""

    speaker: str
    """Any name; only says which turns belong together."""
    text: str
    """At least one character that is seen."""
    image: str | None = None
    """Picture that is shown with it, in the form of the conversation's; this turn and those after
    it are about that one."""

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
    """Picture that is being talked about from the start: its file name, with or without folder and
    suffix."""
    persona: dict[str, tuple[str, ...]] | None = None
    """Lines about who a speaker is, by speaker."""
    style: dict[str, str] | None = None
    """How a speaker talks, by speaker: a trait, `positive/neutral` or `negative`."""
    learn: tuple[str, ...] | None = None
    """Speakers whose turns are learnt; by default all. A turn that opens a conversation is learnt
    only about a picture."""
    references: tuple[str, ...] = ()
    """Other texts that are as good as the only turn, such as a picture's other captions."""

    def __post_init__(self) -> None:
        if not self.turns:
            raise ValueError("turns is empty; expected at least one")
        speakers = list(dict.fromkeys(turn.speaker for turn in self.turns))
        for image in (self.image, *(turn.image for turn in self.turns)):
            if image is not None and not image_id_of(image):
                raise ValueError(f"image is {image!r}; expected a file name")
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
        if not any(
            _is_learnt(self, at, utterance) for at, utterance in enumerate(_utterances(self))
        ):
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
        return read_conversations(path, task=self.name, group=split)


def read_conversations(path: Path, *, task: str, group: str) -> Iterator[Example]:
    """Yield the turns to learn of a file of conversations, each with all turns before it.

    Args:
        path: The file.
        task: Name of the data set that the examples say they are of.
        group: Begins the names of the file's conversations, which then are unlike another file's.

    Raises:
        DataError: The file is missing, or a line is not a ``Conversation``; says which.
    """
    for number, row in read_json_lines(path, Conversation):
        yield from examples_of(row, task=task, conversation=f"{group}:{number}")


def examples_of(row: Conversation, *, task: str, conversation: str) -> Iterator[Example]:
    """Yield the turns to learn of one conversation, each with all turns before it.

    Args:
        row: The conversation.
        task: Name of the data set that the examples say they are of.
        conversation: Name of the conversation in it.
    """
    turns = _utterances(row)
    for at, utterance in enumerate(turns):
        if not _is_learnt(row, at, utterance):
            continue
        persona = (row.persona or {}).get(utterance.speaker, ())
        yield Example(
            context=tuple(before.text for before in turns[:at]),
            reply=utterance.text,
            task=task,
            conversation=conversation,
            image_id=utterance.image_id,
            references=tuple(filter(None, map(tidy, row.references))),
            persona=tuple(filter(None, map(tidy, persona))),
            style=tidy((row.style or {}).get(utterance.speaker, "")) or None,
        )


@dataclass(frozen=True, slots=True)
class _Utterance:
    """All that a speaker says until another one speaks, and the picture that is seen by then."""

    speaker: str
    text: str
    image_id: str | None


def _utterances(row: Conversation) -> list[_Utterance]:
    seen = row.image
    utterances: list[_Utterance] = []
    for speaker, group in groupby(row.turns, key=lambda turn: turn.speaker):
        turns = list(group)
        for turn in turns:
            seen = turn.image or seen
        text = tidy(" ".join(turn.text for turn in turns))
        utterances.append(_Utterance(speaker, text, None if seen is None else image_id_of(seen)))
    return utterances


def _is_learnt(row: Conversation, at: int, utterance: _Utterance) -> bool:
    opens = at == 0 and utterance.image_id is None
    return not opens and (row.learn is None or utterance.speaker in row.learn)
