"""OpenAI's own client talks to the server unchanged: at once, as a stream, and in asyncio."""

import asyncio
from typing import Any

import openai
import pytest

from openmmb.chat.bot import Bot
from openmmb.chat.request import Request
from openmmb.search.config import SearchConfig
from openmmb.serve.config import ServeConfig
from openmmb.serve.service import Hosted
from tests.build import tiny_image
from tests.serve.conftest import KEY, serving, wait_until_ready
from tests.serve.test_routes import RUDE, data_uri

HELLO: Any = [{"role": "user", "content": "Hello! How are you?"}]
RUDELY: Any = [{"role": "user", "content": RUDE}]


@pytest.fixture
def openai_client(url: str) -> Any:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_it_talks(openai_client: openai.OpenAI, bot: Bot) -> None:
    completion = openai_client.chat.completions.create(model="tiny", messages=HELLO)
    assert completion.choices[0].message.content == bot.reply("Hello! How are you?").text
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens > completion.usage.prompt_tokens
    assert completion.system_fingerprint


def test_it_shows_a_picture(openai_client: openai.OpenAI, bot: Bot) -> None:
    content: Any = [
        {"type": "text", "text": "What do you see?"},
        {"type": "image_url", "image_url": {"url": data_uri(), "detail": "low"}},
    ]
    completion = openai_client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": content}]
    )
    expected = bot.reply("What do you see?", image=tiny_image())
    assert completion.choices[0].message.content == expected.text
    assert completion.usage is not None
    assert completion.usage.prompt_tokens_details is not None


def test_it_gets_an_n_best_list(openai_client: openai.OpenAI, bot: Bot) -> None:
    completion = openai_client.chat.completions.create(
        model="tiny",
        messages=HELLO,
        n=3,
        max_completion_tokens=20,
        extra_body={"beam_size": 5, "style": "Curious", "gender": "none", "min_tokens": 2},
    )
    [expected] = bot.reply_many(
        [
            Request(
                "Hello! How are you?",
                conversation=bot.admit_conversation(_framed("Curious")),
                gender="none",
                search=SearchConfig(beam_size=5, min_length=2, max_length=20),
                num_replies=3,
            )
        ]
    )
    texts = [choice.message.content for choice in completion.choices]
    assert texts == [expected.text, *(other.text for other in expected.others)]
    assert [choice.index for choice in completion.choices] == list(range(len(texts)))
    assert len(texts) > 1


def _framed(style: str) -> Any:
    from openmmb.chat.conversation import Conversation

    return Conversation(style=style)


def test_a_reply_is_cut_where_it_is_to_stop(openai_client: openai.OpenAI, bot: Bot) -> None:
    whole = bot.reply("Hello! How are you?").text
    stop = whole.split()[2]
    completion = openai_client.chat.completions.create(
        model="tiny", messages=HELLO, stop=["nowhere to be found", stop]
    )
    assert completion.choices[0].message.content == whole[: whole.index(stop)].rstrip()
    assert completion.choices[0].finish_reason == "stop"
    short = openai_client.chat.completions.create(
        model="tiny",
        messages=HELLO,
        max_tokens=2,
        temperature=0,
        extra_body={"use_beam_search": False},
    )
    assert short.choices[0].finish_reason == "length"
    assert short.usage is not None
    assert short.usage.completion_tokens == 1


def test_a_seed_gives_the_same_draw(openai_client: openai.OpenAI) -> None:
    def draw(seed: int) -> str | None:
        completion = openai_client.chat.completions.create(
            model="tiny", messages=HELLO, seed=seed, top_p=0.95, temperature=1.5
        )
        return completion.choices[0].message.content

    first, second = draw(1), draw(2)
    assert first == draw(1)
    assert first != second


def test_it_streams(openai_client: openai.OpenAI, bot: Bot) -> None:
    stream = openai_client.chat.completions.create(
        model="tiny", messages=HELLO, stream=True, stream_options={"include_usage": True}, n=2
    )
    *chunks, last = list(stream)
    assert len({chunk.id for chunk in (*chunks, last)}) == 1
    [expected] = bot.reply_many([Request("Hello! How are you?", num_replies=2)])
    choices = [choice for chunk in chunks for choice in chunk.choices]
    for index, text in enumerate([expected.text, expected.others[0].text]):
        mine = [choice for choice in choices if choice.index == index]
        assert "".join(choice.delta.content or "" for choice in mine) == text
        assert [choice.finish_reason for choice in mine if choice.finish_reason] == ["stop"]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > 0


def test_a_refusal_comes_in_the_protocols_fields(openai_client: openai.OpenAI) -> None:
    moderation: Any = {
        "model": "openmmb-guard",
        "policy": {"input": {"mode": "block"}, "output": {"mode": "score"}},
    }
    completion = openai_client.chat.completions.create(
        model="tiny", messages=RUDELY, moderation=moderation
    )
    [choice] = completion.choices
    assert choice.finish_reason == "content_filter"
    assert choice.message.refusal
    assert completion.moderation is not None
    told = completion.moderation.input
    assert told.type == "moderation_results"
    assert told.results[0].flagged
    assert told.results[0].categories["harassment"]
    assert told.results[0].category_scores["harassment"] == pytest.approx(0.6)
    output = completion.moderation.output
    assert output.type == "moderation_results"
    assert output.results == []
    stream = openai_client.chat.completions.create(
        model="tiny", messages=RUDELY, stream=True, moderation=moderation
    )
    chunks = list(stream)
    refusal = "".join(c.delta.refusal or "" for chunk in chunks for c in chunk.choices)
    assert refusal == choice.message.refusal
    assert chunks[-1].choices[0].finish_reason == "content_filter"
    assert chunks[-1].moderation is not None


def test_it_moderates(openai_client: openai.OpenAI) -> None:
    told = openai_client.moderations.create(input=[RUDE, "I like your garden."])
    assert [result.flagged for result in told.results] == [True, False]
    assert told.results[0].categories.harassment
    assert not told.results[1].categories.self_harm
    assert told.model == "openmmb-guard"
    one = openai_client.moderations.create(input=RUDE, model="openmmb-guard")
    assert one.results[0].flagged
    with pytest.raises(openai.NotFoundError, match="openmmb-guard"):
        openai_client.moderations.create(input=RUDE, model="omni-moderation-latest")


def test_it_lists_the_model(openai_client: openai.OpenAI) -> None:
    assert [model.id for model in openai_client.models.list()] == ["tiny"]
    assert openai_client.models.retrieve("tiny").id == "tiny"


def test_it_talks_in_asyncio(url: str, bot: Bot) -> None:
    async def run() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
            completions = await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model="tiny", messages=[{"role": "user", "content": f"I am {n}."}]
                    )
                    for n in range(4)
                )
            )
            stream = await client.chat.completions.create(model="tiny", messages=HELLO, stream=True)
            parts = [c.delta.content async for chunk in stream for c in chunk.choices]
            streamed = "".join(filter(None, parts))
            return [*(one.choices[0].message.content for one in completions), streamed]

    expected = [bot.reply(f"I am {n}.").text for n in range(4)]
    assert asyncio.run(run()) == [*expected, bot.reply("Hello! How are you?").text]


def test_an_error_is_the_clients_own(bot: Bot) -> None:
    with serving(Hosted(bot, name="tiny"), ServeConfig(api_key=(KEY, "another"))) as url:
        wait_until_ready(url)
        for key in (KEY, "another"):
            client = openai.OpenAI(base_url=f"{url}/v1", api_key=key)
            assert client.models.retrieve("tiny").id == "tiny"
        with pytest.raises(openai.NotFoundError) as missing:
            client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert missing.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError) as wrong:
            client.chat.completions.create(model="tiny", messages=HELLO, presence_penalty=1)
        assert wrong.value.param == "presence_penalty"
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=f"{url}/v1", api_key="wrong").models.list()
