"""The server answers in OpenAI's protocol, and says what it is and what it takes."""

import base64
import io
from typing import Any

import httpx
import pytest

from openmmb.chat.bot import Bot
from openmmb.chat.request import Request
from openmmb.data.styles import known_styles
from openmmb.serve.protocol import ChatRequest
from openmmb.text.gender import GENDER_TOKENS
from tests.build import tiny_image

RUDE = "You are a fucking fool"


def data_uri(seed: int = 0) -> str:
    """A small picture as a client sends it."""
    file = io.BytesIO()
    tiny_image(seed=seed).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def user(text: str, *pictures: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": p}} for p in pictures]
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}


def ask(client: httpx.Client, *messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    response = client.post("/v1/chat/completions", json={"messages": list(messages), **fields})
    assert response.status_code == 200, response.text
    completion: dict[str, Any] = response.json()
    return completion


def refuse(client: httpx.Client, body: Any, status: int = 400) -> dict[str, Any]:
    response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "\n" not in error["message"]
    return error


def test_a_reply_is_the_bots(client: httpx.Client, bot: Bot) -> None:
    completion = ask(client, user("Hello! How are you?"), model="tiny", seed=3)
    expected = bot.reply_many([Request("Hello! How are you?")])[0]
    [choice] = completion["choices"]
    assert choice["message"] == {"role": "assistant", "content": expected.text, "refusal": None}
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert completion["object"] == "chat.completion"
    assert completion["model"] == "tiny"
    assert completion["id"].startswith("chatcmpl-")
    assert completion["usage"] == {
        "prompt_tokens": expected.context_tokens,
        "completion_tokens": expected.tokens,
        "total_tokens": expected.context_tokens + expected.tokens,
        "prompt_tokens_details": {"image_tokens": 0, "cached_tokens": 0},
    }
    assert completion["openmmb"]["origin"] == expected.origin
    assert completion["openmmb"]["seed"] == 3


def test_the_newest_picture_is_seen(client: httpx.Client, bot: Bot) -> None:
    completion = ask(client, user("Look!", data_uri(0), data_uri(1)))
    seen = bot.look(tiny_image(seed=1))
    expected = bot.reply("Look!", conversation=seen)
    assert completion["choices"][0]["message"]["content"] == expected.text
    assert completion["usage"]["prompt_tokens_details"]["image_tokens"] == 49
    assert completion["openmmb"]["notes"] == ["2 pictures were sent; the model sees the newest"]
    later = ask(
        client,
        user("Look!", data_uri(1)),
        {"role": "assistant", "content": expected.text},
        user("What else?"),
    )
    again = bot.reply("What else?", conversation=expected.conversation)
    assert later["choices"][0]["message"]["content"] == again.text
    assert later["openmmb"]["notes"] == []


def test_a_picture_alone_is_described(client: httpx.Client, bot: Bot) -> None:
    message = {"role": "user", "content": [user("", data_uri())["content"][0]]}
    expected = bot.reply(image=tiny_image()).text
    assert ask(client, message)["choices"][0]["message"]["content"] == expected


def test_the_system_says_who_the_bot_is(client: httpx.Client, bot: Bot) -> None:
    from openmmb.chat.conversation import Conversation

    system = {"role": "system", "content": "I live on a farm.\n\nI have two dogs."}
    persona = ("I live on a farm.", "I have two dogs.", "I like to sing.")
    fields = {"persona": "I like to sing.", "style": "Curious", "gender": "none"}
    framed = Conversation(persona=persona, style="Curious")
    [expected] = bot.reply_many([Request("Who are you?", conversation=framed, gender="none")])
    completion = ask(client, system, user("Who are you?"), **fields)
    assert completion["choices"][0]["message"]["content"] == expected.text


def test_a_message_that_is_refused_is_answered_with_the_reason(
    client: httpx.Client, bot: Bot
) -> None:
    completion = ask(client, user(RUDE))
    [choice] = completion["choices"]
    expected = bot.reply(RUDE).text
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"] == {"role": "assistant", "content": expected, "refusal": expected}
    verdict = completion["openmmb"]["guard"]["message"]
    assert (verdict["safe"], verdict["check"], verdict["category"]) == (False, "words", "profanity")
    assert verdict["reason"] in expected
    assert "moderation" not in completion


def test_a_refused_turn_is_left_out_with_its_answer(client: httpx.Client) -> None:
    messages = [
        user("Hello there!"),
        {"role": "assistant", "content": "Hi, how are you?"},
        user(RUDE),
        {"role": "assistant", "content": "I would rather not."},
        user("I went to the park."),
    ]
    whole, without = ask(client, *messages), ask(client, *messages[:2], messages[4])
    assert whole["choices"] == without["choices"]
    assert whole["openmmb"]["left_out"] == [2, 3]
    assert without["openmmb"]["left_out"] == []


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"persona": [RUDE]}, "persona.0", "may not be said"),
        ({"style": "fucking"}, "style", "may not be said"),
        (
            {"messages": [{"role": "system", "content": f"Hi.\n{RUDE}"}, user("Hi")]},
            "messages.0.content",
            "may not be said",
        ),
    ],
)
def test_who_the_bot_is_to_be_is_judged(
    client: httpx.Client, fields: dict[str, Any], param: str, message: str
) -> None:
    error = refuse(client, {"messages": [user("Hello.")], **fields})
    assert (error["param"], error["code"]) == (param, "content_filter")
    assert message in error["message"]


def test_it_says_what_it_is(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    [model] = client.get("/v1/models").json()["data"]
    assert model["id"] == "tiny"
    assert model["architecture"]["input_modalities"] == ["text", "image"]
    assert client.get("/v1/models/tiny").json() == model
    assert client.get("/v1/models/small").status_code == 404
    props = client.get("/props").json()
    assert props["modalities"] == {"vision": True, "audio": False}
    assert props["genders"] == ["none", *GENDER_TOKENS]
    assert props["styles"] == list(known_styles())
    assert props["model_card"] == "# A card"
    assert props["limits"]["max_characters"] == 8000
    assert not {"api_key", "origin"} & props["limits"].keys()
    assert "openmmb_replies_total" in client.get("/metrics").text


def test_another_model_is_not_there(client: httpx.Client) -> None:
    error = refuse(client, {"model": "gpt-4o", "messages": [user("Hi")]}, 404)
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert "tiny" in error["message"]


def test_the_controls_are_those_of_the_schema() -> None:
    schema = ChatRequest.model_json_schema()["properties"]["gender"]
    assert schema["anyOf"][0]["enum"] == ["none", *GENDER_TOKENS]


@pytest.mark.parametrize(
    ("given", "param", "message"),
    [
        ([], "input", "expected 1 to 64 texts, got 0"),
        (["Hi"] * 65, "input", "expected 1 to 64 texts, got 65"),
        (["Hi", {"type": "text", "text": "x" * 8001}], "input.1", "at most 8000 characters"),
        (["Hi", 3, 4], "input.1", "expected a string or a content part of the type 'text'"),
        ({"text": "Hi"}, "input", "expected a string or a list of content parts"),
    ],
)
def test_texts_to_moderate_that_cannot_be_are_refused_by_name(
    client: httpx.Client, given: Any, param: str, message: str
) -> None:
    response = client.post("/v1/moderations", json={"input": given})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["param"] == param
    assert error["message"].endswith(message), "the first fault of a list is told, and no others"
