"""A context keeps its controls and its newest words, whatever its length."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.config import parse
from openmmb.data.encode import EncodeConfig, encode, encode_context, encode_reply
from openmmb.data.example import Example
from openmmb.errors import ConfigError
from openmmb.text.gender import GENDER_TOKENS
from openmmb.text.tokenizer import PERSONA, STYLE
from tests.build import tiny_example, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
END = TOKENIZER.end_id
NEWLINE = TOKENIZER.encode("\n")
TURNS = st.lists(st.text(min_size=1, max_size=12), max_size=5).map(tuple)
EXAMPLES = st.builds(
    tiny_example,
    context=TURNS,
    reply=st.text(min_size=1, max_size=12),
    persona=TURNS,
    style=st.none() | st.text(min_size=1, max_size=12),
)
GENDERS = st.none() | st.sampled_from(GENDER_TOKENS)


def words(*texts: str) -> list[int]:
    return [token for text in texts for token in TOKENIZER.encode(text)]


def joined(turns: tuple[str, ...]) -> list[int]:
    """The plain twin of the turns: all of them, a newline between."""
    ids: list[int] = []
    for place, turn in enumerate(turns):
        ids += [*(NEWLINE if place else []), *TOKENIZER.encode(turn)]
    return ids


def slow(example: Example, config: EncodeConfig) -> list[int]:
    pinned: list[int] = []
    if example.style is not None:
        pinned += [TOKENIZER.special_id(STYLE), *words(example.style, "\n")]
    for line in example.persona:
        pinned += [TOKENIZER.special_id(PERSONA), *words(line, "\n")]
    pinned = pinned[: config.max_pinned]
    end = [TOKENIZER.special_id(example.gender)] if example.gender else []
    end.append(END)
    turns = joined(example.context)
    while len(pinned) + len(turns) + len(end) > config.max_context:
        turns = turns[1:]
    return [*pinned, *turns, *end]


def test_order() -> None:
    example = replace(
        tiny_example(context=("one", "two"), persona=("i sail .", "i row ."), style="Sweet"),
        gender="f1m0",
    )
    assert encode_context(example, TOKENIZER, EncodeConfig()) == [
        *(TOKENIZER.special_id(STYLE), *words("Sweet", "\n")),
        *(TOKENIZER.special_id(PERSONA), *words("i sail .", "\n")),
        *(TOKENIZER.special_id(PERSONA), *words("i row .", "\n")),
        *words("one", "\n", "two"),
        *(TOKENIZER.special_id("f1m0"), END),
    ]


@given(EXAMPLES, GENDERS, st.integers(2, 40), st.integers(0, 38))
def test_a_context_equals_its_plain_twin(
    example: Example, gender: str | None, most: int, pinned: int
) -> None:
    config = EncodeConfig(max_context=most, max_pinned=min(pinned, most - 2))
    example = replace(example, gender=gender)
    found = encode_context(example, TOKENIZER, config)
    assert found == slow(example, config)
    assert len(found) <= most
    assert found[-1] == END


@given(TURNS)
def test_what_is_cut_are_the_oldest_words(turns: tuple[str, ...]) -> None:
    config = EncodeConfig(max_context=10, max_pinned=0)
    kept = encode_context(tiny_example(context=turns), TOKENIZER, config)[:-1]
    assert kept == joined(turns)[-9:]


def test_style_persona_and_control_stay_when_the_turns_are_long() -> None:
    example = replace(tiny_example(context=("a boat " * 99,), persona=("i sail .",), style="Sweet"))
    found = encode_context(replace(example, gender="f0m0"), TOKENIZER, EncodeConfig())
    pinned = [
        *(TOKENIZER.special_id(STYLE), *words("Sweet", "\n")),
        *(TOKENIZER.special_id(PERSONA), *words("i sail .", "\n")),
    ]
    assert len(found) == 128
    assert found[: len(pinned)] == pinned
    assert found[-2:] == [TOKENIZER.special_id("f0m0"), END]


def test_a_long_persona_leaves_room_for_turns() -> None:
    example = tiny_example(context=("a boat " * 99,), persona=("i sail . " * 99,))
    found = encode_context(example, TOKENIZER, EncodeConfig(max_context=40, max_pinned=10))
    assert found[:10] == [TOKENIZER.special_id(PERSONA), *words("i sail . " * 99)][:10]
    assert found[10:-1] == words("a boat " * 99)[-29:]


def test_an_opening_has_only_the_end() -> None:
    assert encode_context(tiny_example(context=()), TOKENIZER, EncodeConfig()) == [END]


def test_another_delimiter_stands_between_turns() -> None:
    config = EncodeConfig(delimiter=" | ")
    found = encode_context(tiny_example(context=("one", "two")), TOKENIZER, config)
    assert found == [*words("one", " | ", "two"), END]


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4), st.integers(1, 30))
def test_a_reply_is_cut_on_the_right(turns: list[str], most: int) -> None:
    whole = [token for turn in turns for token in (*words(turn), END)]
    assert encode_reply(turns, TOKENIZER, EncodeConfig(max_reply=most)) == whole[:most]


def test_an_example_writes_on_to_what_follows() -> None:
    example = replace(tiny_example(reply="yes", image_id="7"), following=("no", "bye"))
    found = encode(example, TOKENIZER, EncodeConfig())
    assert found.reply == (*words("yes"), END, *words("no"), END, *words("bye"), END)
    assert found.context == tuple(encode_context(example, TOKENIZER, EncodeConfig()))
    assert found.image_id == "7"


@pytest.mark.parametrize("pinned", [-1, 9])
def test_pinned_words_must_leave_room_for_control_and_end(pinned: int) -> None:
    with pytest.raises(ConfigError, match=rf"max_pinned \({pinned}\) must leave 2 tokens of max_c"):
        parse(EncodeConfig, {"max_context": 10, "max_pinned": pinned})


def test_a_reply_has_a_token_at_least() -> None:
    with pytest.raises(ConfigError, match="max_reply must be at least 1, got 0"):
        parse(EncodeConfig, {"max_reply": 0})
