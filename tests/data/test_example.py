"""Examples of a conversation can be put together, and every reply is learnt exactly once."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from openmmb.data.example import Example, packed_replies
from tests.build import tiny_example


def replies(turns: list[str], *, conversation: str = "c", both: bool = True) -> list[Example]:
    return [
        replace(tiny_example(context=tuple(turns[:at]), reply=turns[at]), conversation=conversation)
        for at in range(1, len(turns))
        if both or at % 2
    ]


def learnt(row: Example) -> list[tuple[tuple[str, ...], str]]:
    """Context and reply of every turn that a row teaches."""
    turns = (*row.context, row.reply, *row.following)
    begin = len(row.context)
    return [(turns[:at], turns[at]) for at in range(begin, len(turns), 2)]


def test_one_speaker_is_one_row() -> None:
    [row] = packed_replies(replies(["a", "b", "c", "d"], both=False))
    assert (row.context, row.reply, row.following) == (("a",), "b", ("c", "d"))


@given(
    st.lists(st.tuples(st.lists(st.text("ab", min_size=1), min_size=2, max_size=7), st.booleans()))
)
def test_every_reply_is_learnt_once(conversations: list[tuple[list[str], bool]]) -> None:
    examples = [
        example
        for number, (turns, both) in enumerate(conversations)
        for example in replies(turns, conversation=str(number), both=both)
    ]
    rows = list(packed_replies(examples))
    taught = [(row.conversation, *one) for row in rows for one in learnt(row)]
    assert sorted(taught) == sorted((e.conversation, e.context, e.reply) for e in examples)
    assert len(rows) <= sum(2 if both else 1 for _, both in conversations)


def test_a_picture_that_is_shown_begins_a_new_row() -> None:
    examples = replies(["a", "b", "c", "d", "e", "f"], both=False)
    seen = [examples[0], *(replace(example, image_id="1") for example in examples[1:])]
    first, second = packed_replies(seen)
    assert learnt(first) == [(("a",), "b")]
    assert [reply for _, reply in learnt(second)] == ["d", "f"]
    assert second.image_id == "1"


def test_another_persona_begins_a_new_row() -> None:
    examples = replies(["a", "b", "c"])
    personas = [replace(e, persona=(str(at),)) for at, e in enumerate(examples)]
    assert list(packed_replies(personas)) == personas


def test_a_picture_with_captions_is_never_packed() -> None:
    captions = [replace(tiny_example(context=(), reply="a"), references=("b",)) for _ in range(2)]
    assert list(packed_replies(captions)) == captions
