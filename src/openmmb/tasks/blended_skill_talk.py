"""Blended Skill Talk (Smith et al., 2020): a guided worker blends persona, knowledge and empathy.

Raw: ``<root>/blended_skill_talk/{train,valid,test}.json`` as published, a list of ``Original``, or
``{train,val,test}.json`` as it is passed around converted, a list of ``Converted``. The free
worker speaks first; the first two turns were borrowed from another data set to start from.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from openmmb.data.example import Example, Split
from openmmb.tasks.read import find_file, read_json, turn_examples
from openmmb.text.normalize import tidy


@dataclass(frozen=True)
class Original:
    """A conversation as published: the free worker is 0, the guided worker 1."""

    personas: tuple[list[str], list[str]]
    context_dataset: str
    additional_context: str
    free_turker_utterance: str
    guided_turker_utterance: str
    dialog: list[tuple[int, str]]


@dataclass(frozen=True)
class Converted:
    """A conversation as converted: the free worker is the speaker, the guided one the listener."""

    dialogue: list[str]
    speaker_persona: Annotated[list[str], Field(alias="speaker persona")]
    listener_persona: Annotated[list[str], Field(alias="listener persona")]


def _kind(row: Any) -> str:
    return "original" if isinstance(row, dict) and "dialog" in row else "converted"


Raw = Annotated[
    Annotated[Original, Tag("original")] | Annotated[Converted, Tag("converted")],
    Discriminator(_kind),
]


@dataclass(frozen=True)
class BlendedSkillTalk:
    """Blended Skill Talk under ``root``.

    Attributes:
        root: The folder that holds all data sets.
        both_sides: Also learn the free worker's turns and the guided worker's borrowed one.
    """

    root: Path
    both_sides: bool = False

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: The file is missing.
        """
        converted = "val" if split == "valid" else split
        names = (f"{split}.json", f"{converted}.json")
        return (find_file(self.root / "blended_skill_talk", *dict.fromkeys(names)),)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield the guided worker's own turns; with ``both_sides``, all but the first.

        As in ParlAI, a conversation that was started from Wizard of Wikipedia has its topic before
        its first turn (only the published form says which it is).

        Raises:
            DataError: The file is missing or malformed.
        """
        (path,) = self.files(split)
        for number, row in enumerate(read_json(path, list[Raw])):
            turns = [tidy(turn) for turn in _turns(row)]
            yield from turn_examples(
                turns,
                range(1, len(turns)) if self.both_sides else range(3, len(turns), 2),
                task="blended_skill_talk",
                conversation=f"{split}:{number}",
                opening=_topic(row),
                personas=_personas(row),
            )


def _turns(row: Original | Converted) -> list[str]:
    if isinstance(row, Converted):
        return row.dialogue
    borrowed = [row.free_turker_utterance, row.guided_turker_utterance]
    return [*borrowed, *(utterance for _, utterance in row.dialog)]


def _topic(row: Original | Converted) -> tuple[str, ...]:
    if isinstance(row, Original) and row.context_dataset == "wizard_of_wikipedia":
        return (tidy(row.additional_context),)
    return ()


def _personas(row: Original | Converted) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the free worker's persona and the guided worker's."""
    if isinstance(row, Converted):
        free, guided = row.speaker_persona, row.listener_persona
    else:
        free, guided = row.personas
    return tuple(map(tidy, free)), tuple(map(tidy, guided))
