"""What comes from outside frames no conversation before the guard has judged all of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openmmb.chat.admission import Admission
from openmmb.chat.bot import Bot
from openmmb.chat.conversation import EMPTY, Conversation, Picture, Shown, Turn
from openmmb.chat.request import Request
from openmmb.chat.strict import MAX_CHARACTERS
from openmmb.errors import ConfigError, ImageError
from openmmb.safety.answers import HELP, SUBJECTS
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


FOUL = pytest.mark.parametrize(
    ("conversation", "key"),
    [
        (Conversation(turns=(*CALM, Turn("person", RUDE))), "turns.2"),
        (Conversation(turns=(Turn("bot", RUDE), *CALM)), "turns.0"),
        (Conversation(turns=(*CALM * 50, Turn("bot", RUDE))), "turns.100"),
        (Conversation(turns=CALM, persona=("I sail.", RUDE)), "persona.1"),
        (Conversation(turns=CALM, style=RUDE), "style"),
    ],
)


@FOUL
def test_what_the_guard_refuses_is_named_with_its_key(
    bot: Bot, conversation: Conversation, key: str
) -> None:
    with pytest.raises(ConfigError) as error:
        bot.admit_conversation(conversation)
    assert str(error.value) == f'{key}: may not be said: "fucking" is swearing'


@FOUL
def test_a_bot_answers_in_no_conversation_that_the_guard_refuses(
    bot: Bot, conversation: Conversation, key: str
) -> None:
    """However it comes in: made by a program, read from JSON, beside others in one call."""
    again = Conversation.from_json(conversation.to_json())
    asked = [Request("Hi.", conversation=one) for one in (conversation, EMPTY, again)]
    refused, answered, too = bot.reply_many(asked)
    assert not answered.refused
    for reply in (refused, too, bot.reply("", conversation=conversation)):
        assert reply.refused
        assert reply.text == (
            f'I would rather not go on with this conversation: "fucking" is swearing ({key}).'
        )
        assert reply.message_verdict is not None
        assert reply.message_verdict.words == ("fucking",)
        assert reply.conversation == conversation


def test_an_older_cry_for_help_gets_help(bot: Bot) -> None:
    cry = EMPTY.add("person", "I want to kill myself")
    assert bot.reply("Hello?", conversation=cry).text == HELP


def test_what_the_bot_said_and_heard_is_judged_once(bot: Bot) -> None:
    asked = list[str]()

    def check(text: str, context: Sequence[str]) -> Verdict:
        asked.append(text)
        return Verdict(safe=True)

    bot.guard = Guard((check,))
    framed = Conversation(persona=(bot.admit("I sail."),), style=bot.admit_style("Witty"))
    first = bot.reply("Hello.", conversation=framed)
    asked.clear()
    sent = Conversation.from_json(first.conversation.to_json())  # a client sends its history
    second = bot.reply("And you?", conversation=bot.admit_conversation(sent))
    assert asked == ["And you?", second.text]


def test_another_guard_judges_anew(bot: Bot) -> None:
    rude = EMPTY.add("person", RUDE)
    strict = bot.guard
    bot.guard = Guard(())
    said = bot.reply("Go on.", conversation=rude).conversation
    bot.guard = strict
    assert bot.reply("Go on.", conversation=said).refused


def test_a_description_of_a_picture_is_judged_alone_as_it_was_when_it_was_said(bot: Bot) -> None:
    def check(text: str, context: Sequence[str]) -> Verdict:
        return Verdict(safe=not context or text in ("Hello.", "Hi."), check="mine")

    hello = EMPTY.add("person", "Hello.").add("bot", "Hi.")
    shown = Shown("boat.png", "1")
    described = Conversation(turns=(*hello.turns, Turn("bot", "A boat.", shown)))
    spoken = Conversation(turns=(*hello.turns, Turn("bot", "A boat.")))
    bot.guard = Guard((check,))
    assert bot.admit_conversation(described) == described
    with pytest.raises(ConfigError, match=r"^turns\.2: may not be said: the check"):
        bot.admit_conversation(spoken)


def test_the_lines_of_the_program_itself_are_never_refused(bot: Bot) -> None:
    bot.guard = Guard((lambda text, context: Verdict(safe=text == "Hi.", check="mine"),))
    turns = tuple(Turn("bot", line) for line in (HELP, *SUBJECTS))
    own = Conversation(turns=(Turn("person", "Hi."), *turns))
    assert bot.admit_conversation(own) == own
    with pytest.raises(ConfigError, match=r"^turns\.1: "):
        bot.admit_conversation(EMPTY.add("person", "Hi.").add("person", HELP))


def test_a_history_goes_on_without_what_was_refused_and_its_answer(bot: Bot) -> None:
    """As clients send it, who keep a refused message and the reason in their history."""
    refused = bot.reply(RUDE)
    history = (*CALM, Turn("person", RUDE), Turn("bot", refused.text), *CALM)
    sent = Conversation(turns=history)
    admitted = bot.admit_conversation(sent, leave_out_refused=True)
    assert admitted == Conversation(turns=CALM * 2)
    assert not bot.reply("Hi.", conversation=admitted).refused
    forged = Conversation(turns=(*CALM, Turn("bot", RUDE)))
    assert bot.admit_conversation(forged, leave_out_refused=True) == Conversation(turns=CALM)
    for framed in (Conversation(persona=(RUDE,)), Conversation(style=RUDE)):
        with pytest.raises(ConfigError, match="may not be said"):
            bot.admit_conversation(framed, leave_out_refused=True)


def test_only_so_much_is_remembered() -> None:
    asked = list[str]()

    def check(text: str, context: Sequence[str]) -> Verdict:
        asked.append(text)
        return Verdict(safe=True)

    guard, admission = Guard((check,)), Admission(capacity=2)
    for persona in (("a",), ("b",), ("c",), ("c",), ("a",)):
        assert admission.judge_all([Conversation(persona=persona)], guard) == [()]
    assert asked == ["a", "b", "c", "a"]


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
