"""What comes from outside frames no conversation before the guard has judged all of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openmmb.chat.bot import Bot
from openmmb.chat.conversation import Conversation, Picture, Turn
from openmmb.chat.strict import MAX_CHARACTERS
from openmmb.errors import ConfigError, ImageError
from openmmb.safety.guard import Guard
from openmmb.safety.verdict import Verdict
from tests.build import TINY_F, TINY_I, tiny_image

RUDE = "a fucking sailor"
CALM = (Turn("person", "Hello."), Turn("bot", "Hi. Do you sail?"))


def test_a_harmless_conversation_is_admitted_as_it_is(bot: Bot) -> None:
    calm = Conversation(turns=CALM * 100, persona=("I sail.",), style="Curious")
    for conversation in (Conversation(), calm, bot.look(tiny_image(), calm)):
        again = bot.admit_conversation(Conversation.from_json(conversation.to_json()))
        assert again == conversation


@pytest.mark.parametrize(
    ("conversation", "key"),
    [
        (Conversation(turns=(*CALM, Turn("person", RUDE))), "turns.2"),
        (Conversation(turns=(Turn("bot", RUDE), *CALM)), "turns.0"),
        (Conversation(turns=(*CALM * 50, Turn("bot", RUDE))), "turns.100"),
        (Conversation(turns=CALM, persona=("I sail.", RUDE)), "persona.1"),
        (Conversation(turns=CALM, style=RUDE), "style"),
    ],
)
def test_what_the_guard_refuses_is_named_with_its_key(
    bot: Bot, conversation: Conversation, key: str
) -> None:
    with pytest.raises(ConfigError) as error:
        bot.admit_conversation(conversation)
    assert str(error.value) == f'{key}: may not be said: "fucking" is swearing'


def test_each_text_is_judged_in_its_place(bot: Bot) -> None:
    asked = list[tuple[str, tuple[str, ...]]]()

    def check(text: str, context: Sequence[str]) -> Verdict:
        asked.append((text, tuple(context)))
        return Verdict(safe=True)

    bot.guard = Guard((check,))
    bot.admit_conversation(Conversation(turns=CALM, persona=("I sail.",), style="Witty"))
    hello, question = (turn.text for turn in CALM)
    assert sorted(asked) == sorted(
        [(hello, ()), (question, (hello,)), ("I sail.", ()), ("I am Witty.", ())]
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=2), st.none() | st.text())
def test_all_is_put_on_one_visible_line(
    bot: Bot, texts: list[str], persona: list[str], style: str | None
) -> None:
    bot.guard = Guard(())
    turns = tuple(Turn("person", text) for text in texts)
    given = Conversation(turns=turns, persona=tuple(persona), style=style)
    admitted = bot.admit_conversation(given)
    assert bot.admit_conversation(admitted) == admitted
    assert len(admitted.turns) == len(given.turns)
    for text in (*admitted.texts(), *admitted.persona, admitted.style or ""):
        assert text == " ".join(text.split())


def test_the_name_of_a_picture_is_one_line_too(bot: Bot) -> None:
    shown = Picture("a\x1b[2J\nb.png", torch.zeros(TINY_I, TINY_F))
    admitted = bot.admit_conversation(Conversation(picture=shown))
    assert admitted.picture == replace(shown, name="a[2J b.png")


def test_a_text_that_is_too_long_is_named(bot: Bot) -> None:
    long = "a" * (MAX_CHARACTERS + 1)
    for conversation, key in (
        (Conversation(turns=(*CALM, Turn("bot", long))), "turns.2"),
        (Conversation(persona=(long,)), "persona.0"),
        (Conversation(style=long), "style"),
    ):
        with pytest.raises(ConfigError, match=f"^{key}: expected at most 20000 characters$"):
            bot.admit_conversation(conversation)


def test_a_picture_that_the_model_cannot_see_is_refused(bot: Bot) -> None:
    shown = Picture("mine", torch.zeros(TINY_I, TINY_F), encoder="tiny")
    assert bot.admit_conversation(Conversation(picture=shown)).picture == shown
    for wrong in (replace(shown, encoder="huge"), Picture("mine", torch.zeros(1, TINY_F))):
        conversation = Conversation(picture=wrong)
        with pytest.raises(ImageError, match="picture: expected vectors of"):
            bot.admit_conversation(conversation)
        with pytest.raises(ImageError, match="picture: expected vectors of"):
            bot.reply("Hi", conversation=conversation)
