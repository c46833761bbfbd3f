"""A request gets the same reply alone and in any company, by turns or in threads."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openmmb.chat.bot import Bot, load
from openmmb.chat.conversation import NO_STYLE, Conversation, Turn
from openmmb.chat.exchange import Exchange, take_replies
from openmmb.chat.request import NO_GENDER, Reply, Request, find_gender
from openmmb.checkpoint import Checkpoint
from openmmb.engine.generate import Generated
from openmmb.safety.guard import Guard, GuardConfig, open_guard
from openmmb.safety.verdict import Utterance, Verdict
from openmmb.search.config import Method, SearchConfig
from tests.build import SENTENCES, tiny_image

RUDE = "You are a fucking fool"
PICTURES = [tiny_image(seed=seed) for seed in range(3)]
ORIGINS = {"model", "next_best", "changed_subject", "refused"}

texts = st.sampled_from(("", RUDE, "Hi", *SENTENCES, " ".join(SENTENCES)))
conversations = st.builds(
    Conversation,
    turns=st.lists(
        st.builds(Turn, st.sampled_from(["person", "bot"]), st.sampled_from(SENTENCES)), max_size=6
    ).map(tuple),
    persona=st.lists(st.sampled_from(SENTENCES), max_size=2).map(tuple),
    style=st.sampled_from([None, NO_STYLE, "Curious", "Angry"]),
)
requests = st.builds(
    Request,
    text=texts,
    image=st.none() | st.sampled_from(PICTURES),
    conversation=conversations,
    seed=st.integers(-(2**63), 2**63 - 1),
)


def picky(text: str, context: Sequence[str]) -> Verdict:
    """Refuse half of what no sentence here says, and more of it where much was said before."""
    score = 0.0 if text in SENTENCES else sum(map(ord, text)) % 6 / 6
    return Verdict(safe=score < (0.5 if len(context) < 3 else 0.4), score=score, check="picky")


@pytest.fixture
def bot(bot: Bot, checkpoint: Checkpoint) -> Bot:
    """A bot that ends its replies, so that a search finds several; and that is hard to please."""
    with torch.no_grad():
        checkpoint.model.embeddings.weight[checkpoint.tokenizer.end_id] *= -6
    bot.guard = Guard((*open_guard(GuardConfig(classifier="none")).checks, picky))
    return bot


def drawing(method: Method, *, beam_size: int = 3) -> SearchConfig:
    return SearchConfig(
        method=method,
        beam_size=beam_size,
        top_k=50,
        beam_delay=4,
        min_length=2,
        max_length=12,
    )


def assert_same(one: Reply, other: Reply) -> None:
    """All of a reply is the same but for its time, and for the rounding of a classifier's score."""
    assert one.text == other.text
    assert one.conversation == other.conversation
    assert (one.tokens, one.seed, one.origin) == (other.tokens, other.seed, other.origin)
    for mine, theirs in (
        (one.message_verdict, other.message_verdict),
        (one.reply_verdict, other.reply_verdict),
    ):
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            assert (mine.safe, mine.check, mine.words) == (theirs.safe, theirs.check, theirs.words)
            assert mine.score == pytest.approx(theirs.score, abs=1e-4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    st.lists(requests, min_size=2, max_size=6), st.sampled_from(["topk", "nucleus", "delayed_beam"])
)
def test_a_reply_is_the_same_alone_and_in_any_company(
    bot: Bot, asked: list[Request], method: Method
) -> None:
    bot.search = drawing(method)
    replies = bot.reply_many(asked)
    for request, reply in zip(asked, replies, strict=True):
        assert_same(reply, bot.reply_many([request])[0])
        assert_same(
            reply,
            bot.reply(
                request.text,
                image=request.image,
                conversation=request.conversation,
                seed=request.seed,
            ),
        )
    for request, reply in zip(asked[::-1], bot.reply_many(asked[::-1]), strict=True):
        assert_same(reply, replies[asked.index(request)])


def mixed() -> list[Request]:
    """Requests of every kind: with and without pictures, frames, words and manners."""
    long = Conversation(turns=tuple(Turn("person", text) for text in SENTENCES))
    framed = Conversation(persona=("I sail.", "I have a dog."), style="Curious")
    return [
        Request("Hello! How was your day?"),
        Request("What do you see?", PICTURES[0]),
        Request(RUDE, PICTURES[1], long),
        Request("", PICTURES[2], framed, seed=5),
        Request("And you?", conversation=long, seed=1),
        Request("What do you like to do on weekends?", PICTURES[0], framed, seed=2),
        Request("Do you have any pets? I have two dogs and a cat.", conversation=framed),
        Request(""),
    ]


def test_every_origin_is_among_the_replies(bot: Bot) -> None:
    bot.search = drawing("topk", beam_size=2)
    asked = [Request(text, seed=seed) for text in (*SENTENCES, RUDE) for seed in range(4)]
    assert {reply.origin for reply in bot.reply_many(asked)} == ORIGINS


def test_requests_that_want_other_searches_are_answered_as_if_alone(bot: Bot) -> None:
    bot.search = drawing("topk", beam_size=1)
    asked = [
        replace(request, search=search, gender=gender)
        for request, search, gender in zip(
            mixed(),
            [None, drawing("nucleus"), SearchConfig(beam_size=3, max_length=30), None] * 2,
            [None, "f1m0", "none", "f0m0"] * 2,
            strict=True,
        )
    ]
    for request, reply in zip(asked, bot.reply_many(asked), strict=True):
        assert_same(reply, bot.reply_many([request])[0])
        search = request.search or bot.search
        gender = bot.gender if request.gender is None else find_gender(request.gender)
        alone = Bot(bot.engine, guard=bot.guard, search=search, gender=gender or NO_GENDER)
        plain = replace(request, search=None, gender=None)
        assert_same(reply, alone.reply_many([plain])[0])


def test_several_replies_are_the_safe_ones_in_their_order(bot: Bot) -> None:
    bot.search = SearchConfig(beam_size=8, min_length=2, max_length=12)
    everything = Guard(())
    for text in SENTENCES:
        request = Request(text, num_replies=20)
        all_of_them = Bot(bot.engine, guard=everything, search=bot.search).reply_many([request])[0]
        candidates = [all_of_them.text, *(other.text for other in all_of_them.others)]
        assert len(candidates) == len(set(candidates)) > 1
        reply = bot.reply_many([request])[0]
        safe = [one for one in candidates if bot.guard.judge(one, (text,)).safe]
        taken = [reply.text, *(other.text for other in reply.others)]
        assert taken == safe or (reply.origin, safe) == ("changed_subject", [])
        assert bot.reply(text).text == reply.text
        assert bot.reply(text).others == ()
        assert len(bot.reply_many([replace(request, num_replies=2)])[0].others) == max(
            0, min(1, len(safe) - 1)
        )
        assert reply.context_tokens > 0


def test_a_reply_without_a_word_is_passed_over_however_safe() -> None:
    empty, reply = Generated("", 0, -0.1), Generated("I sail.", 4, -0.5)
    exchanges = [Exchange(Request("Hi"), Conversation()) for _ in range(2)]
    take_replies(exchanges, [[empty, reply], [empty]], Guard(checks=()))
    assert (exchanges[0].text, exchanges[0].origin) == ("I sail.", "next_best")
    assert exchanges[1].origin == "changed_subject"
    assert exchanges[1].text


def test_one_search_and_few_questions_answer_all(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[int]()
    read, batches = bot.engine.read, list[int]()

    class Counting:
        """Finds everything safe."""

        def __call__(self, text: str, context: Sequence[str]) -> Verdict:
            raise AssertionError("asked about one alone")

        def judge_many(self, utterances: Sequence[Utterance]) -> list[Verdict]:
            asked.append(len(utterances))
            return [Verdict(safe=bool(text)) for text, _ in utterances]

    def counting(context: torch.Tensor, *rest: torch.Tensor) -> object:
        batches.append(len(context))
        return read(context, *rest)

    monkeypatch.setattr(bot.engine, "read", counting)
    bot.guard = Guard((Counting(),))
    assert len(bot.reply_many(mixed())) == 8
    assert batches == [8]
    # What the conversations bring of persons and of the bot, messages, likeliest replies.
    assert asked[:4] == [6, 3, 6, 8]


@pytest.mark.parametrize("search", [None, drawing("topk", beam_size=1)])
def test_the_bundled_model_replies_the_same_in_company(search: SearchConfig | None) -> None:
    bot = load("tiny", search=search)
    for request, reply in zip(mixed(), bot.reply_many(mixed()), strict=True):
        assert_same(reply, bot.reply_many([request])[0])
        assert reply.refused == (request.text == RUDE)


def test_threads_share_a_bot_and_get_what_they_get_one_after_the_other(bot: Bot) -> None:
    bot.search = drawing("topk", beam_size=2)
    bot.guard = Guard((*open_guard(GuardConfig()).checks, picky))
    batches = [mixed()[at % 8 :] if at % 2 else mixed()[at % 8 :][:1] for at in range(16)]
    one_by_one = [bot.reply_many(batch) for batch in batches]
    fresh = Bot(bot.engine, guard=bot.guard, search=bot.search)  # knows no picture yet
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(fresh.reply_many, batches))
    for before, after in zip(one_by_one, together, strict=True):
        for one, other in zip(before, after, strict=True):
            assert_same(one, other)


def test_threads_share_the_bundled_model() -> None:
    bot = load("tiny")
    one_by_one = [bot.reply_many([request])[0] for request in mixed()]
    fresh = load("tiny")
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda request: fresh.reply_many([request])[0], mixed()))
    for one, other in zip(one_by_one, together, strict=True):
        assert_same(one, other)


def test_a_conversation_goes_on_in_company(bot: Bot) -> None:
    bot.search = drawing("topk", beam_size=1)
    first = bot.reply_many(mixed())
    asked = [Request(SENTENCES[2], None, reply.conversation, seed=9) for reply in first]
    saved = [Conversation.from_json(request.conversation.to_json()) for request in asked]
    again = [Request(SENTENCES[2], None, conversation, seed=9) for conversation in saved]
    for reply, other in zip(bot.reply_many(asked), bot.reply_many(again), strict=True):
        assert_same(reply, other)
        last = reply.conversation.turns[-1]
        assert (last.speaker, last.text) == ("bot", reply.text)
