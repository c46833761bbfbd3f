"""A request takes what is plainly meant and names everything else; a reply says its origin."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openmmb.chat.bot import Bot
from openmmb.chat.conversation import EMPTY, Conversation
from openmmb.chat.request import Request, tidy_entry
from openmmb.chat.strict import MAX_CHARACTERS
from openmmb.errors import ConfigError, ImageError, OpenMMBError
from tests.build import tiny_checkpoint

# Callers in plain Python are not checked for types.
AnyBot: Any = Bot
AnyConversation: Any = Conversation
AnyRequest: Any = Request


def test_what_is_plainly_meant_is_accepted() -> None:
    plain = Request()
    assert (plain.text, plain.image, plain.conversation, plain.seed) == ("", None, EMPTY, 0)
    nothing = AnyRequest(text=None, conversation=None)
    assert (nothing.text, nothing.conversation) == ("", EMPTY)
    assert Request(" Hello,\n\u200byou. ").text == "Hello, you."
    assert AnyRequest(seed=np.int64(7)).seed == 7
    assert type(AnyRequest(seed=np.int64(7)).seed) is int
    assert Request(seed=-(2**63)).seed == -(2**63)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AnyRequest(b"Hi"), "message: expected a string, got bytes; use .decode"),
        (lambda: AnyRequest(Path("hi.txt")), "message: expected a string, got PosixPath"),
        (lambda: AnyRequest(["Hi"]), "message: expected a string, got list"),
        (
            lambda: AnyRequest("a" * (MAX_CHARACTERS + 1)),
            "message: expected at most 20000 characters",
        ),
        (lambda: AnyRequest(seed=1.5), "seed: expected a whole number, got 1.5"),
        (lambda: AnyRequest(seed="1"), "seed: expected a whole number, got '1'"),
        (lambda: AnyRequest(seed=None), "seed: expected a whole number, got None"),
        (
            lambda: AnyRequest(seed=2**63),
            "seed: expected .* fits into 64 bits, got 9223",
        ),
        (lambda: AnyRequest(seed=10**5000), "seed: expected .* fits into 64 bits, got a very long"),
        (lambda: AnyRequest(conversation=["Hi"]), r"got list; use Conversation\(turns=\[...\]\)"),
        (lambda: AnyRequest(conversation=EMPTY.turns), "expected a Conversation, got tuple; use"),
        (lambda: AnyRequest(conversation="{}"), r"got str; use Conversation.from_json\(text\)"),
        (lambda: AnyRequest(gender="f0"), "gender: no control 'f0'; did you mean 'f"),
        (lambda: AnyRequest(gender=1), "gender: expected a string, got int"),
        (lambda: AnyRequest(search="beam"), "search: expected a SearchConfig, got str"),
        (lambda: AnyRequest(num_replies=0), "num_replies: expected a whole number above 0, got 0"),
        (lambda: AnyRequest(num_replies="2"), "num_replies: expected a whole number above 0"),
    ],
)
def test_what_is_something_else_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_reply_in_place_of_its_conversation_is_named(bot: Any) -> None:
    reply = bot.reply("Hello.")
    with pytest.raises(ConfigError, match=r"got Reply; use reply\.conversation"):
        bot.reply("And you?", conversation=reply)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda bot: bot.reply(b"Hi"), "message: expected a string, got bytes"),
        (lambda bot: bot.reply("Hi", image=["a.png", "b.png"]), "image: expected one picture"),
        (lambda bot: bot.reply("Hi", image=np.zeros((2, 2, 3))), "image: expected pixels of type"),
        (lambda bot: bot.look("photo.jpg", ["Hi"]), "conversation: expected a Conversation"),
        (lambda bot: bot.reply_many(Request("Hi")), "requests: expected a list of requests, got R"),
        (lambda bot: bot.reply_many("Hi"), "requests: expected a list of requests, got str"),
        (lambda bot: bot.reply_many(["Hi"]), r"requests: expected a Request, got str; use Request"),
        (lambda bot: bot.admit(3), "message: expected a string, got int"),
        (lambda bot: bot.admit_conversation("{}"), "conversation: expected a Conversation, got st"),
        (lambda bot: AnyBot(bot.engine, guard=len), r"guard: expected a Guard, got .*more=\["),
        (
            lambda bot: AnyBot("tiny", guard=bot.guard),
            "engine: expected an engine, got str",
        ),
        (
            lambda bot: AnyBot(tiny_checkpoint(), guard=bot.guard),
            r"engine: expected an engine, got Checkpoint; use openmmb\.load\(checkpoint\)",
        ),
        (lambda bot: AnyBot(bot.engine, guard=None), "guard: expected a Guard, got None"),
        (
            lambda bot: AnyBot(bot.engine, guard=bot.guard, search={"beam_size": 2}),
            "search: expected a SearchConfig, got dict",
        ),
        (
            lambda bot: AnyBot(bot.engine, guard=bot.guard, gender="f0"),
            "gender: no control 'f0'; did you mean 'f",
        ),
        (
            lambda bot: AnyBot(bot.engine, guard=bot.guard, gender=3),
            "gender: expected a string, got int",
        ),
    ],
)
def test_a_bot_names_what_it_cannot_take(
    bot: Bot, ask: Callable[[Any], object], message: str
) -> None:
    with pytest.raises(OpenMMBError, match=message) as error:
        ask(bot)
    assert "\n" not in str(error.value)


def test_none_is_what_is_left_out(bot: Any) -> None:
    plain = bot.reply("Hello.")
    assert bot.reply("Hello.", image=None, conversation=None).text == plain.text
    assert bot.reply(None).conversation == bot.reply().conversation
    assert bot.reply_many([]) == []
    one = bot.reply("Hello.", conversation=AnyConversation(persona="I sail."))
    assert one.conversation.persona == ("I sail.",)


def test_what_is_entered_is_one_line() -> None:
    assert tidy_entry(" a \n b\u200b ") == "a b"
    with pytest.raises(ConfigError, match=r"turns.3: expected at most 20000"):
        tidy_entry("a" * (MAX_CHARACTERS + 1), "turns.3")


def test_a_picture_that_cannot_be_read_answers_nobody(bot: Bot) -> None:
    with pytest.raises(ImageError, match="not a picture"):
        bot.reply_many([Request("Hello."), Request("Hello.", image=b"GIF? no.")])
