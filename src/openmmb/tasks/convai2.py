"""ConvAI2 (Dinan et al., 2019): two people with invented personas get to know each other.

Raw: ``<root>/convai2/{train,valid}_self_original.txt``, with or without candidate replies. Lines
are numbered from 1 within a conversation: first persona lines, ``1 your persona: i ski .``, then
``5 partner's turn<TAB>own turn``; further fields may follow after tabs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from openmmb.data.example import Example, Split
from openmmb.errors import DataError
from openmmb.tasks.read import find_file, read_lines, turn_examples
from openmmb.text.normalize import normalize_reply

_LINE = re.compile(r"(\d+) (?:(your|partner's) persona: )?(.*)", re.DOTALL)


@dataclass
class _Conversation:
    """One conversation, as it is read line by line."""

    partner_persona: list[str] = field(default_factory=list)
    own_persona: list[str] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ConvAI2:
    """ConvAI2 under ``root``, in sentence case (ParlAI's ``convai2:normalized``).

    Attributes:
        root: The folder that holds all data sets.
        both_sides: Also learn the turns of the partner. The partner's persona is known where
            ``{split}_other_original.txt`` lies beside the file.
    """

    root: Path
    both_sides: bool = False

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: The file is missing, or ``split`` is "test", which was never published.
        """
        if split == "test":
            raise DataError("convai2: the test split was never published; use 'valid'")
        folder = self.root / "convai2"
        first = find_file(folder, *_names(split, "self"))
        others = [folder / name for name in _names(split, "other")] if self.both_sides else []
        return first, *[path for path in others if path.is_file()][:1]

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield the second speaker's turns; with ``both_sides``, all but the first.

        Raises:
            DataError: A file is missing or malformed, or ``split`` is "test", which was never
                published.
        """
        first, *others = self.files(split)
        conversations = _read(first)
        for path in others:
            _add_partners(conversations, path)
        for number, conversation in enumerate(conversations):
            yield from turn_examples(
                conversation.turns,
                range(1, len(conversation.turns), 1 if self.both_sides else 2),
                task="convai2",
                conversation=f"{split}:{number}",
                personas=(tuple(conversation.partner_persona), tuple(conversation.own_persona)),
            )


def _add_partners(conversations: list[_Conversation], path: Path) -> None:
    """Fill in the partners' personas from the file that has them."""
    others = _read(path)
    # The files differ in small ways ("i'm", "i am"), so only the shape can be compared.
    if [len(one.turns) for one in others] != [len(one.turns) for one in conversations]:
        name = path.name.replace("_other_", "_self_").removesuffix(".txt")
        raise DataError(f"{path}: its conversations are not those of {name}")
    for conversation, other in zip(conversations, others, strict=True):
        conversation.partner_persona = other.partner_persona


def _names(split: Split, persona: str) -> tuple[str, str]:
    return f"{split}_{persona}_original.txt", f"{split}_{persona}_original_no_cands.txt"


def _read(path: Path) -> list[_Conversation]:
    conversations: list[_Conversation] = []
    for number, line in read_lines(path):
        match = _LINE.fullmatch(line)
        if match is None:
            raise DataError(f"{path}: line {number}: {line[:60]!r}; expected '1 text'")
        number_in_it, whose, text = match.groups()
        if number_in_it == "1":
            conversations.append(_Conversation())
        elif not conversations:
            raise DataError(f"{path}: line {number}: begins with number {number_in_it}, expected 1")
        conversation = conversations[-1]
        if whose == "your":
            conversation.own_persona.append(normalize_reply(text))
        elif whose:
            conversation.partner_persona.append(normalize_reply(text))
        else:
            turns = text.split("\t")[:2]
            if len(turns) < 2:
                raise DataError(f"{path}: line {number}: {line[:60]!r}; expected a tab and a reply")
            conversation.turns += map(normalize_reply, turns)
    return conversations
