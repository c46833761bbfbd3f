"""In a sequence of turns every turn is marked, and what is learnt is exactly the speaker's own."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.config import parse
from openmmb.data.encode import (
    EncodeConfig,
    choose_objects,
    encode,
    encode_context,
    encode_prompt,
)
from openmmb.data.example import Example
from openmmb.errors import ConfigError
from openmmb.text.tokenizer import OBJECTS, PERSON, PERSONA, STYLE, Tokenizer
from tests.build import tiny_chat_tokenizer, tiny_example

TOKENIZER = tiny_chat_tokenizer()
START, END = TOKENIZER.start_id, TOKENIZER.end_id
PERSON_ID = TOKENIZER.special_id(PERSON)
F0M0, F1M0 = TOKENIZER.special_id("f0m0"), TOKENIZER.special_id("f1m0")
CONFIG = EncodeConfig(layout="turns", max_context=64, max_pinned=24, max_reply=64)
TEXT = st.text("abc de", min_size=1, max_size=12)


def words(text: str) -> list[int]:
    return TOKENIZER.encode(text)


def example(*context: str, reply: str = "yes", gender: str | None = None) -> Example:
    return replace(tiny_example(context=context, reply=reply), gender=gender)


def learnt(row: Example, tokenizer: Tokenizer = TOKENIZER) -> list[str]:
    """The texts that are targets, each without its end."""
    encoded = encode(row, tokenizer, CONFIG)
    targets = [t for t, counts in zip(encoded.reply, encoded.targets, strict=True) if counts]
    texts, turn = [], list[int]()
    for token in targets:
        if token == END:
            texts.append(tokenizer.decode(turn))
            turn = []
        else:
            turn.append(token)
    assert not turn
    return texts


def test_every_turn_is_marked_by_who_speaks() -> None:
    row = example("hi", "hello", "how are you", gender="f0m0")
    assert encode_context(row, TOKENIZER, CONFIG) == [
        *(PERSON_ID, *words("hi"), END),
        *(START, F0M0, *words("hello"), END),
        *(PERSON_ID, *words("how are you"), END),
    ]


def test_style_persona_and_what_was_recognised_stand_first() -> None:
    row = replace(
        example("hi"), style="Sweet", persona=("i sail",), objects=("ox", "rope"), image_id="1"
    )
    assert encode_context(row, TOKENIZER, CONFIG) == [
        *(TOKENIZER.special_id(STYLE), *words("Sweet"), END),
        *(TOKENIZER.special_id(PERSONA), *words("i sail"), END),
        *(TOKENIZER.special_id(OBJECTS), *words("ox, rope"), END),
        *(PERSON_ID, *words("hi"), END),
    ]


@pytest.mark.parametrize("gender", [None, "f1m0"])
def test_a_reply_that_is_searched_for_begins_as_one_that_is_learnt(gender: str | None) -> None:
    row = example("hi", gender=gender)
    prompt, encoded = encode_prompt(row, TOKENIZER, CONFIG), encode(row, TOKENIZER, CONFIG)
    sequence = [*encoded.context, START, *encoded.reply]
    begun = [*prompt.context, prompt.start_id]
    assert sequence[: len(begun)] == begun
    assert sequence[len(begun) :] == [*words("yes"), END]


def test_of_a_packed_conversation_only_own_turns_are_learnt() -> None:
    row = replace(
        example("hi", reply="yes", gender="f0m0"),
        following=("and you", "she sails", "bye"),
        more_genders=("f1m0",),
    )
    encoded = encode(row, TOKENIZER, CONFIG)
    assert list(encoded.reply) == [
        *(F0M0, *words("yes"), END),
        *(PERSON_ID, *words("and you"), END),
        *(START, F1M0, *words("she sails"), END),
        *(PERSON_ID, *words("bye"), END),
    ]
    assert learnt(row) == ["yes", "she sails"]
    assert set(encoded.blocks) == {0}


def test_captions_stand_side_by_side_each_with_its_control() -> None:
    row = replace(
        example(reply="a dog", gender="f0m0"),
        references=("a girl", "an ox"),
        more_genders=("f1m0", "f0m0"),
    )
    encoded = encode(row, TOKENIZER, CONFIG)
    assert list(encoded.reply) == [
        *(F0M0, *words("a dog"), END),
        *(F1M0, *words("a girl"), END),
        *(F0M0, *words("an ox"), END),
    ]
    assert learnt(row) == ["a dog", "a girl", "an ox"]
    assert sorted(set(encoded.blocks)) == [0, 1, 2]


def test_captions_that_do_not_fit_are_left_out_whole() -> None:
    row = replace(example(reply="a dog"), references=("b " * 12, "a cat"))
    config = replace(CONFIG, max_reply=len(words("a dog")) + 6)
    encoded = encode(row, TOKENIZER, config)
    assert list(encoded.reply) == [*words("a dog"), END]


@given(st.lists(TEXT, min_size=1, max_size=6), st.integers(8, 40))
def test_the_oldest_turns_go_and_the_newest_stays(turns: list[str], most: int) -> None:
    row = replace(example(*turns), persona=("i",))
    config = replace(CONFIG, max_context=most, max_pinned=4)
    ids = encode_context(row, TOKENIZER, config)
    whole = encode_context(row, TOKENIZER, replace(config, max_context=10_000))
    pinned = ids.index(END) + 1
    assert len(ids) <= most
    assert ids[:pinned] == whole[:pinned]
    kept = ids[pinned:]
    assert kept[-1] == END
    if len(kept) > most - pinned - 1 and kept.count(END) == 1:  # a single turn, perhaps cut
        assert whole[-len(kept) + 1 :] == kept[1:]
    else:
        assert whole[len(whole) - len(kept) :] == kept
        assert kept[0] in (START, PERSON_ID)


@pytest.mark.parametrize("most", [1, 3, 5])
def test_of_a_reply_that_is_too_long_its_beginning_is_learnt(most: int) -> None:
    long = example("hi", reply="a b c d e f", gender="f0m0")
    encoded = encode(long, TOKENIZER, replace(CONFIG, max_reply=most))
    assert encoded.reply == encode(long, TOKENIZER, CONFIG).reply[:most]
    assert len(encoded.reply) == len(encoded.targets) == len(encoded.blocks) == most


def test_a_turn_without_space_for_a_word_is_left_out() -> None:
    config = replace(CONFIG, max_context=4, max_pinned=2)
    styled = replace(example("a b c d"), style="x")
    pinned = [TOKENIZER.special_id(STYLE), *words("x")]
    assert len(pinned) == 2
    assert encode_context(styled, TOKENIZER, config) == pinned  # a mark and an end would fit
    wider = replace(config, max_context=5)
    assert encode_context(styled, TOKENIZER, wider) == [
        *pinned,
        PERSON_ID,
        words("a b c d")[-1],
        END,
    ]


@given(TEXT.map(str.strip).filter(bool), TEXT)
def test_no_text_becomes_a_mark(text: str, reply: str) -> None:
    typed = f"{text}{PERSON}{OBJECTS}__start__f0m0"
    ids = encode_context(example(typed, reply, typed), TOKENIZER, CONFIG)
    marks = {PERSON_ID, START, TOKENIZER.special_id(OBJECTS), F0M0}
    assert [token for token in ids if token in marks] == [PERSON_ID, START, PERSON_ID][
        -sum(token in marks for token in ids) :
    ]


def test_a_layout_without_an_end_is_none_of_turns() -> None:
    with pytest.raises(ConfigError, match=r"end_context is false.* 'turns' has it; use 'parlai'"):
        parse(EncodeConfig, {"layout": "turns", "end_context": False})


def test_what_is_recognised_is_named_if_it_is_likely() -> None:
    config = replace(CONFIG, object_words=2, object_threshold=0.2)
    recognised = [("ox", 0.5), ("rope", 0.2), ("barn", 0.2), ("cow", 0.1)]
    assert choose_objects(recognised, config) == ("ox", "rope")
    assert choose_objects(recognised[3:], config) == ()
    assert choose_objects(recognised, CONFIG) == ()


def test_a_name_that_is_just_likely_enough_is_named() -> None:
    config = replace(CONFIG, object_words=2, object_threshold=0.25)
    assert choose_objects([("boat", 0.25), ("sea", 0.2)], config) == ("boat",)


def test_names_stand_only_where_there_is_a_place_for_them() -> None:
    with pytest.raises(ConfigError, match=r"object_words is 3 in the layout 'openmmb'; expected"):
        parse(EncodeConfig, {"object_words": 3})
