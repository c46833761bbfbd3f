"""A conversation is a value; its JSON gives an equal one, or one line about what is wrong."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openmmb.chat.conversation import (
    EMPTY,
    MAX_PERSONA,
    MAX_TURNS,
    Conversation,
    Picture,
    Speaker,
    Turn,
)
from openmmb.chat.strict import MAX_CHARACTERS, MAX_JSON, MAX_NUMBERS
from openmmb.errors import ConfigError

# Callers in plain Python are not checked for types.
AnyConversation: Any = Conversation
AnyTurn: Any = Turn
AnyPicture: Any = Picture
SHOWN = Picture(name="a.png", vectors=torch.zeros(4, 8))


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 4)))
    vectors = torch.randn(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    digest, encoder = draw(st.text(max_size=8)), draw(st.sampled_from(["", "tiny", "é"]))
    return Picture(draw(st.text(max_size=8)), vectors, digest=digest, encoder=encoder)


conversations = st.builds(
    Conversation,
    turns=st.lists(st.builds(Turn, st.sampled_from(get_args(Speaker)), st.text())).map(tuple),
    persona=st.lists(st.text()).map(tuple),
    style=st.none() | st.text(),
    picture=st.none() | pictures(),
)


def test_a_turn_more_leaves_the_conversation_as_it_was() -> None:
    first = EMPTY.add("person", "Hello!")
    second = first.add("bot", "Hi.")
    assert first.turns == (Turn("person", "Hello!"),)
    assert second.turns == (Turn("person", "Hello!"), Turn("bot", "Hi."))
    assert EMPTY.turns == ()
    with pytest.raises(FrozenInstanceError):
        first.turns = ()  # type: ignore[misc]


def test_the_model_reads_what_was_said_oldest_first() -> None:
    assert EMPTY.add("bot", "Hi.").add("person", "Hello!").texts() == ("Hi.", "Hello!")


def test_what_frames_a_conversation_stays_when_something_is_said() -> None:
    framed = Conversation(persona=("I sail.",), style="Curious", picture=SHOWN)
    longer = framed.add("person", "Hello!")
    assert replace(longer, turns=()) == framed
    assert longer.picture is SHOWN


def test_conversations_compare_and_hash_by_what_they_hold() -> None:
    assert EMPTY.add("bot", "Hi.") == EMPTY.add("bot", "Hi.")
    assert hash(EMPTY.add("bot", "Hi.")) == hash(EMPTY.add("bot", "Hi."))
    assert EMPTY.add("bot", "Hi.") != EMPTY.add("person", "Hi.")


def test_pictures_are_equal_only_if_they_are_the_same_picture() -> None:
    other = Picture(name="a.png", vectors=torch.ones(4, 8))
    assert Picture(name="a.png", vectors=torch.zeros(4, 8)) == SHOWN != other
    assert Conversation(picture=SHOWN) != Conversation(picture=other)
    assert len({SHOWN, other}) == 2
    assert Picture("a.png", torch.zeros(8, 4)) != SHOWN
    assert replace(SHOWN, digest="1") != replace(SHOWN, digest="2")
    assert replace(SHOWN, encoder="tiny") != SHOWN


@given(conversations)
def test_reading_inverts_writing(conversation: Conversation) -> None:
    again = Conversation.from_json(conversation.to_json())
    assert again == conversation
    if conversation.picture is not None:
        assert again.picture is not None
        assert torch.equal(again.picture.vectors, conversation.picture.vectors)
    assert Conversation.from_json(json.dumps(json.loads(conversation.to_json()))) == conversation


def test_vectors_of_any_precision_are_written() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        shown = Picture("a", torch.full((2, 3), 0.5, dtype=dtype))
        again = Conversation.from_json(Conversation(picture=shown).to_json()).picture
        assert again == shown


def test_only_the_turns_must_be_there() -> None:
    assert Conversation.from_json('{"turns": []}') == EMPTY


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    """Return the JSON of a conversation after a change."""
    whole = Conversation(turns=(Turn("person", "Hi"),), persona=("I sail.",), picture=SHOWN)
    data = json.loads(whole.to_json())
    change(data)
    return json.dumps(data)


def put(*keys: Any, value: Any) -> Callable[[dict[str, Any]], object]:
    """Return a change that sets a value; ``keys`` lead to it."""

    def change(data: Any) -> None:
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value

    return change


INFINITE = base64.b64encode(np.full((4, 8), np.inf, "<f4").tobytes()).decode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("truns", value=[]), "conversation: no key 'truns'; did you mean 'turns'?"),
        (lambda data: data.pop("turns"), "conversation: expected the key 'turns'"),
        (put("turns", value="Hi"), "turns: expected a list, got 'Hi'"),
        (put("turns", value={"0": "Hi"}), "turns: expected a list, got {'0': 'Hi'}"),
        (put("turns", 0, value="Hi"), "turns.0: expected an object, got 'Hi'"),
        (put("turns", 0, "speaker", value="user"), "turns.0.speaker: expected 'person' or 'bot'"),
        (put("turns", 0, "speaker", value=["bot"]), r"turns.0.speaker: .*, got \['bot'\]"),
        (put("turns", 0, "text", value=3), "turns.0.text: expected a string, got int"),
        (put("turns", 0, "txet", value="x"), "turns.0: no key 'txet'; did you mean 'text'?"),
        (
            put("turns", 0, "text", value="a" * (MAX_CHARACTERS + 1)),
            "turns.0.text: expected at most 20000 characters",
        ),
        (
            put("turns", value=[{"speaker": "bot", "text": ""}] * (MAX_TURNS + 1)),
            "turns: expected at most 10000 elements, got 10001",
        ),
        (put("persona", value=None), "persona: expected a list, got None"),
        (put("persona", value=["a"] * (MAX_PERSONA + 1)), "persona: expected at most 1000"),
        (put("persona", 0, value=["I"]), "persona.0: expected a string, got list"),
        (put("style", value=False), "style: expected a string, got bool"),
        (put("picture", value="a.png"), "picture: expected an object, got 'a.png'"),
        (lambda data: data["picture"].pop("digest"), "picture: expected the key 'digest'"),
        (put("picture", "name", value=None), "picture.name: expected a string, got None"),
        (put("picture", "digest", value=1), "picture.digest: expected a string, got int"),
        (put("picture", "shape", value=[4, 8, 1]), "picture.shape: expected at most 2"),
        (put("picture", "shape", value=[4.0, 8]), r"picture.shape: .* above 0, got \[4.0, 8\]"),
        (put("picture", "shape", value=[True, 8]), "picture.shape: expected two whole numbers"),
        (put("picture", "shape", value=[-4, -8]), "picture.shape: expected two whole numbers"),
        (
            put("picture", "shape", value=[1, MAX_NUMBERS + 1]),
            "picture.shape: expected at most 4194304 numbers, got 4194305",
        ),
        (put("picture", "shape", value=[10**4000] * 2), "numbers, got a very long number"),
        (put("style", value=[[[["deep"] * 9] * 9] * 9] * 9), "style: expected a string, got list"),
        (put("turns", 0, value=[["deep" * 99] * 9] * 9), "turns.0: expected an object, got "),
        (put("picture", "shape", value=[4, 9]), "picture.vectors: expected 144 bytes, 4 x 9 of"),
        (put("picture", "vectors", value=[0.0]), "picture.vectors: expected a string, got list"),
        (put("picture", "vectors", value="é"), "picture.vectors: expected base64: "),
        (put("picture", "vectors", value="A" * 5), "picture.vectors: expected base64: "),
        (put("picture", "vectors", value=INFINITE), "picture.vectors: expected finite numbers"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line_with_its_key(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        Conversation.from_json(changed(change))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
PLACES: list[tuple[Any, ...]] = [
    *[("turns",), ("turns", 0), ("turns", 0, "speaker"), ("turns", 0, "text"), ("turns", 0, "x")],
    *[("persona",), ("persona", 0), ("style",), ("picture",), ("picture", "name"), ("x",)],
    *[("picture", "digest"), ("picture", "encoder"), ("picture", "shape"), ("picture", "vectors")],
]


@given(st.sampled_from(PLACES), values)
def test_whatever_stands_anywhere_the_error_is_ours(place: tuple[Any, ...], value: Any) -> None:
    text = changed(put(*place, value=value))
    with suppress(ConfigError):
        conversation = Conversation.from_json(text)
        assert Conversation.from_json(conversation.to_json()) == conversation


@given(st.integers(1, 1200))
def test_nesting_of_any_depth_is_one_line(depth: int) -> None:
    for text in ("[" * depth + "]" * depth, '{"turns": [' + "[" * depth + "]" * depth + "]}"):
        with pytest.raises(ConfigError):
            Conversation.from_json(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "conversation: expected JSON: Expecting value at line 1 column 1"),
        ("{'turns': []}", "conversation: expected JSON: .* at line 1 column 2"),
        ("[" * 100_000, "conversation: expected JSON: it is nested too deeply"),
        ('{"turns": ' + "1" * 5000 + "}", "conversation: expected JSON: Exceeds the limit"),
        ("[]", r"conversation: expected an object, got \[\]"),
        ('"Hi"', "conversation: expected an object, got 'Hi'"),
        (" " * (MAX_JSON + 1), "conversation: expected at most 67108864 characters of JSON"),
        (b"{}", "conversation: expected a string, got bytes; use .decode"),
        (Path("a.json"), "conversation: expected a string, got PosixPath"),
    ],
)
def test_what_is_no_conversation_is_one_line(text: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        Conversation.from_json(text)
    assert "\n" not in str(error.value)


def test_what_is_plainly_meant_is_accepted() -> None:
    turns = [Turn("person", "Hi"), Turn("bot", "Hello.")]
    one = AnyConversation(turns=turns, persona="I sail.")
    assert one == Conversation(turns=tuple(turns), persona=("I sail.",))
    assert AnyConversation(turns=iter(turns), persona=["I sail."]) == one
    assert hash(one) == hash(Conversation(turns=tuple(turns), persona=("I sail.",)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: AnyConversation(turns=["Hi"]),
            r"turns: expected Turn objects, got str; use Turn\(",
        ),
        (lambda: AnyConversation(turns="Hi"), "turns: expected a list of Turn objects, got str"),
        (lambda: AnyConversation(turns=None), "turns: expected a list of Turn objects, got None"),
        (
            lambda: AnyConversation(turns=[{"speaker": "bot", "text": "Hi"}]),
            "turns: expected Turn objects, got dict",
        ),
        (
            lambda: AnyConversation(persona=b"I sail."),
            "persona: expected a list of strings, got b",
        ),
        (
            lambda: AnyConversation(persona=[b"I"]),
            "persona: expected a string, got bytes; use",
        ),
        (lambda: AnyConversation(persona=3), "persona: expected a list of strings, got int"),
        (lambda: AnyConversation(style=3), "style: expected a string, got int"),
        (lambda: AnyConversation(style=["Sweet"]), "style: expected a string, got list"),
        (lambda: AnyConversation(picture="a.png"), r"expected a Picture, got str; use bot.look\("),
        (lambda: AnyTurn("user", "Hi"), "turn: no speaker 'user'; expected one of bot, person"),
        (lambda: AnyTurn("persn", "Hi"), "turn: no speaker 'persn'; did you mean 'person'?"),
        (lambda: AnyTurn("bot", None), "turn: expected a string, got None"),
        (lambda: AnyTurn("bot", Path("a")), "turn: expected a string, got PosixPath"),
        (
            lambda: AnyPicture("a", np.zeros((4, 8))),
            "expected image vectors, .* got ndarray",
        ),
        (lambda: AnyPicture("a", torch.zeros(8)), r"image vectors \(I, F\) of floats, got \(8,\)"),
        (lambda: AnyPicture("a", torch.zeros(4, 8).int()), r"got \(4, 8\) of torch.int32"),
        (lambda: AnyPicture(Path("a"), torch.zeros(4, 8)), "picture: expected a string, got Posix"),
    ],
)
def test_what_is_something_else_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
