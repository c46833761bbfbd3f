"""A conversation is a value: saying something makes another one."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openmmb.chat.conversation import EMPTY, Conversation, Picture, Turn


def test_said_leaves_the_conversation_as_it_was() -> None:
    first = EMPTY.said("person", "Hello!")
    second = first.said("bot", "Hi.")
    assert first.turns == (Turn("person", "Hello!"),)
    assert second.turns == (Turn("person", "Hello!"), Turn("bot", "Hi."))
    assert EMPTY.turns == ()
    with pytest.raises(FrozenInstanceError):
        first.turns = ()  # type: ignore[misc]


def test_the_model_reads_what_was_said_oldest_first() -> None:
    assert EMPTY.said("bot", "Hi.").said("person", "Hello!").texts() == ("Hi.", "Hello!")


def test_what_frames_a_conversation_stays_when_something_is_said() -> None:
    picture = Picture(name="a.png", vectors=torch.zeros(4, 8))
    framed = Conversation(persona=("I sail.",), style="Curious", picture=picture)
    said = framed.said("person", "Hello!")
    assert replace(said, turns=()) == framed
    assert said.picture is picture


def test_conversations_compare_and_hash_by_what_they_hold() -> None:
    assert EMPTY.said("bot", "Hi.") == EMPTY.said("bot", "Hi.")
    assert hash(EMPTY.said("bot", "Hi.")) == hash(EMPTY.said("bot", "Hi."))
    assert EMPTY.said("bot", "Hi.") != EMPTY.said("person", "Hi.")


@given(st.lists(st.text()), st.lists(st.text()), st.none() | st.text())
def test_a_written_conversation_is_json_that_says_all_but_the_pixels(
    texts: list[str], persona: list[str], style: str | None
) -> None:
    picture = Picture(name="a.png", vectors=torch.zeros(4, 8))
    conversation = Conversation(persona=tuple(persona), style=style, picture=picture)
    for text in texts:
        conversation = conversation.said("person", text)
    assert json.loads(conversation.to_json()) == {
        "style": style,
        "persona": persona,
        "picture": "a.png",
        "turns": [{"speaker": "person", "text": text} for text in texts],
    }


def test_no_picture_is_written_as_null() -> None:
    assert json.loads(EMPTY.to_json())["picture"] is None
