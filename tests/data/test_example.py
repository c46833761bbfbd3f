"""Examples of a conversation can be put together, and every reply is learnt exactly once."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from openmmb.data.example import Example, one_caption, packed_replies, with_following
from tests.build import tiny_example
from tests.data.build import caption


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


def test_turns_that_have_other_replies_are_never_packed() -> None:
    turns = [replace(e, references=("or else",)) for e in replies(["a", "b", "c", "d"])]
    assert list(packed_replies(turns)) == turns


@given(st.integers(1, 99), st.integers(0, 5))
def test_captions_take_turns_from_pass_to_pass(number: int, start: int) -> None:
    example = caption(number)
    taken = [one_caption(example, epoch).reply for epoch in range(start, start + 3)]
    assert sorted(taken) == sorted([example.reply, *example.references])
    assert one_caption(example, start + 3).reply == taken[0]


def test_not_every_picture_starts_with_its_first_caption() -> None:
    firsts = {one_caption(caption(number), 0).reply.split()[1] for number in range(30)}
    assert firsts == {"dogs", "cats", "boats"}


def test_a_reply_without_others_stays() -> None:
    assert one_caption(tiny_example(), 7) == tiny_example()


def slow_following(examples: Sequence[Example]) -> list[tuple[str, ...]]:
    """The plain twin: the replies after this one in its conversation."""
    return [
        tuple(
            other.reply
            for other in examples[at + 1 :]
            if other.conversation == example.conversation
        )
        for at, example in enumerate(examples)
    ]


@given(st.lists(st.integers(1, 5), max_size=4), st.integers(0, 2))
def test_each_reply_is_followed_by_the_rest_of_its_conversation(
    turns: list[int], opening: int
) -> None:
    said = [tuple(f"{number}.{turn}" for turn in range(9)) for number in range(len(turns))]
    examples = [
        tiny_example(
            context=said[number][: opening + turn],
            reply=said[number][opening + turn],
            conversation=str(number),
        )
        for number, count in enumerate(turns)
        for turn in range(count)
    ]
    found = list(with_following(examples))
    assert [replace(example, following=()) for example in found] == examples
    assert [example.following for example in found] == slow_following(examples)


def test_where_one_speaker_is_learnt_the_other_still_speaks_on() -> None:
    said = ("a", "b", "c", "d")
    examples = [tiny_example(context=said[:at], reply=said[at]) for at in (1, 3)]
    assert [example.following for example in with_following(examples)] == [("c", "d"), ()]
