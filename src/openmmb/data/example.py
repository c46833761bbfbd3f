"""What a data set yields: who said what about which picture, in words.

An example is one reply with all that came before it; nothing about it lives anywhere else.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from openmmb.data.draw import pick

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True, slots=True)
class Example:
    """One reply in its context.

    Attributes:
        context: What was said, oldest turn first; empty when the reply opens the conversation.
        reply: What to say.
        task: Name of the data set.
        conversation: Identifies the conversation within its task; examples of one conversation
            share it, so a hold-out by conversation never splits one.
        image_id: Picture that is being looked at.
        following: Turns that came after the reply. Empty unless a model is to write on from its
            reply, which teaches several turns at the price of one context.
        references: Other replies that are as good (the other captions of a picture).
        persona: Lines that say who the speaker of the reply is.
        style: Trait or polarity that the reply has.
        gender: Which gendered words the reply has, ``f0m0`` to ``f1m1``.
        more_genders: The same of the other replies that are learnt with it: of every second turn
            in ``following``, or of each of ``references``. Empty: they have no control.
        objects: What a picture encoder has recognised in the picture, likeliest first.
    """

    context: tuple[str, ...]
    reply: str
    task: str
    conversation: str
    image_id: str | None = None
    following: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    persona: tuple[str, ...] = ()
    style: str | None = None
    gender: str | None = None
    more_genders: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()


class Task(Protocol):
    """A data set on disk."""

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield the examples of ``split`` in the order of the files.

        Raises:
            DataError: A file is missing or malformed.
        """
        ...


def one_caption(example: Example, epoch: int) -> Example:
    """Where several replies are equally good, take another one each epoch."""
    if not example.references:
        return example
    replies = (example.reply, *example.references)
    offset = pick(len(replies), "caption", example.task, example.conversation)
    return replace(example, reply=replies[(epoch + offset) % len(replies)])


def with_following(examples: Iterable[Example]) -> Iterator[Example]:
    """Let every example continue to the end of its conversation.

    Examples of a conversation must come together, in its order, each one turn after the last.
    """
    conversation: list[Example] = []
    for example in examples:
        if conversation and conversation[0].conversation != example.conversation:
            yield from _followed(conversation)
            conversation = []
        conversation.append(example)
    yield from _followed(conversation)


def _followed(conversation: Sequence[Example]) -> Iterator[Example]:
    if not conversation:
        return
    turns = (*conversation[-1].context, conversation[-1].reply)
    for example in conversation:
        yield replace(example, following=turns[len(example.context) + 1 :])


def packed_replies(examples: Iterable[Example]) -> Iterator[Example]:
    """Put the replies of one speaker in a conversation into one example, as long as they belong.

    They belong together where each continues the last by one turn of somebody else's, and picture,
    persona and style stay the same. Examples of a conversation must come together, in its order.
    """
    rows: list[Example] = []
    for example in examples:
        if rows and rows[0].conversation != example.conversation:
            yield from rows
            rows = []
        for at, row in enumerate(rows):
            if _continues(row, example):
                turns = (*example.context, example.reply)
                rows[at] = replace(row, following=turns[len(row.context) + 1 :])
                break
        else:
            rows.append(example)
    yield from rows


def _continues(row: Example, example: Example) -> bool:
    """Say whether ``example`` is the next reply after those of ``row``, in the same frame."""
    turns = (*row.context, row.reply, *row.following)
    same = replace(example, context=row.context, reply=row.reply, following=row.following) == row
    return same and not example.references and example.context[:-1] == turns
