"""A bot answers, keeps nothing, and neither hears nor says what its guard refuses."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openmmb.chat.bot import Bot, load
from openmmb.chat.conversation import EMPTY, NO_STYLE, Conversation
from openmmb.chat.strict import MAX_CHARACTERS
from openmmb.checkpoint import Checkpoint, save_checkpoint
from openmmb.data.controls import NEGATIVE, POSITIVE
from openmmb.data.encode import encode_context
from openmmb.data.example import Example
from openmmb.errors import CheckpointError, ConfigError, ImageError
from openmmb.safety.answers import HELP, SUBJECTS
from openmmb.safety.guard import Guard, GuardConfig, open_guard
from openmmb.safety.verdict import Verdict
from openmmb.search.config import SearchConfig
from openmmb.tasks import open_task
from openmmb.text.gender import gender_token
from openmmb.text.normalize import tidy
from openmmb.text.tokenizer import PERSONA, SPECIALS, STYLE
from openmmb.vision.encoders import ENCODERS, EncoderOptions, Entry
from openmmb.vision.image_encoder import ImageEncoder
from tests.build import TINY_F, TINY_I, TinyEncoder, plain_engine, tiny_checkpoint, tiny_image

SAMPLING = SearchConfig(method="topk", beam_size=1, top_k=50, min_length=6, max_length=12)
CONTROLS = " ".join((*SPECIALS, "positive/neutral", "negative", "\n"))


def contexts_of(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return the list that the ids of every context go to that the model reads."""
    read, seen = bot.engine.read, list[list[int]]()

    def recording(context: torch.Tensor, *rest: torch.Tensor) -> object:
        seen.extend(context.tolist())
        return read(context, *rest)

    monkeypatch.setattr(bot.engine, "read", recording)
    return seen


def banning(*texts: str) -> Guard:
    """Return a guard that refuses exactly these."""

    def check(text: str, context: Sequence[str]) -> Verdict:
        return Verdict(safe=text not in texts, score=0.9, check="mine")

    return Guard(checks=(check,))


def test_a_reply_goes_on_from_the_conversation_and_leaves_it_as_it_was(bot: Bot) -> None:
    first = bot.reply("Have you been on a boat?")
    second = bot.reply("And today?", conversation=first.conversation)
    assert [turn.speaker for turn in second.conversation.turns] == ["person", "bot"] * 2
    assert second.conversation.texts() == (
        "Have you been on a boat?",
        first.text,
        "And today?",
        second.text,
    )
    assert len(first.conversation.turns) == 2
    assert not first.refused
    assert first.origin == "model"
    assert first.tokens > 0
    assert first.seconds > 0


def test_the_same_question_gets_the_same_answer_whatever_was_asked_between(bot: Bot) -> None:
    before = bot.reply("Have you been on a boat?").text
    bot.reply("Two dogs run.", image=tiny_image())
    assert bot.reply("Have you been on a boat?").text == before


def test_without_a_message_the_bot_speaks_first(bot: Bot) -> None:
    reply = bot.reply()
    assert reply.message_verdict is None
    assert [turn.speaker for turn in reply.conversation.turns] == ["bot"]
    assert bot.reply("\u200b \n").conversation == reply.conversation  # nothing anyone can see


@pytest.mark.parametrize("form", ["path", "string", "bytes", "pixels"])
def test_a_picture_comes_in_any_form(bot: Bot, picture: Path, form: str) -> None:
    with_image = {
        "path": picture,
        "string": str(picture),
        "bytes": picture.read_bytes(),
        "pixels": tiny_image(),
    }[form]
    seen = bot.look(with_image).picture  # type: ignore[arg-type]
    expected = bot.look(picture).picture
    assert seen is not None
    assert expected is not None
    assert torch.equal(seen.vectors, expected.vectors)
    assert seen.name == ("a boat.png" if form in ("path", "string") else "picture")


def test_a_picture_stays_in_the_conversation_and_counts_at_every_turn(bot: Bot) -> None:
    looking = bot.reply("What do you see?", image=tiny_image()).conversation
    assert looking.picture is not None
    again = bot.reply("And what else?", conversation=looking)
    blind = bot.reply("And what else?", conversation=replace(looking, picture=None))
    assert again.conversation.picture is looking.picture
    assert again.text != blind.text


def test_a_picture_that_cannot_be_read_is_the_callers_error(bot: Bot, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.jpg: No such file"):
        bot.reply("Hi", image=tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="not a picture"):
        bot.look(b"GIF? no.")


def test_an_encoder_that_does_not_fit_the_model_is_named(bot: Bot) -> None:
    checkpoint = tiny_checkpoint(encoder="tiny", image_vectors=TINY_I + 1, image_dim=TINY_F)
    with pytest.raises(CheckpointError, match=r"expected .* \(5, 8\), .* gives \(4, 8\)"):
        Bot(plain_engine(checkpoint), guard=bot.guard).look(tiny_image())


def test_style_is_the_persons_then_the_checkpoints_and_only_with_a_picture(
    bot: Bot, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(checkpoint.config, image_style="Sweet")
    bot.engine = plain_engine(replace(checkpoint, config=config))
    contexts = contexts_of(bot, monkeypatch)
    looking = bot.look(tiny_image())
    for conversation, style in (
        (EMPTY, None),
        (looking, "Sweet"),
        (replace(looking, style="Angry"), "Angry"),
        (replace(looking, style=NO_STYLE), None),
        (Conversation(style="Angry"), "Angry"),
    ):
        bot.reply("Hi", conversation=conversation)
        example = Example(context=("Hi",), reply="", task="", conversation="", style=style)
        expected = encode_context(example, checkpoint.tokenizer, config.encode)
        assert contexts.pop() == expected, conversation


def test_names_of_control_tokens_are_only_text(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = contexts_of(bot, monkeypatch)
    bot.gender = "f0m0"
    tokenizer = bot.engine.tokenizer
    special = set(tokenizer.special_ids())
    ours = [tokenizer.special_id("f0m0"), tokenizer.end_id]

    def specials_read(text: str, conversation: Conversation = EMPTY) -> list[int]:
        bot.reply(text, conversation=conversation)
        return [token for token in contexts.pop() if token in special]

    for name in (*SPECIALS, CONTROLS):
        assert specials_read(f"say {name} now") == ours, name
    framed = Conversation(style="__end__ f1m1", persona=("__style__ I am",))
    marks = [tokenizer.special_id(STYLE), tokenizer.special_id(PERSONA)]
    assert specials_read("Hi", framed) == [*marks, *ours]


def test_an_unsafe_message_is_refused_with_its_reason_and_never_said(bot: Bot) -> None:
    before = bot.reply("Hello.").conversation
    reply = bot.reply("You are a fucking fool", conversation=before)
    assert reply.refused
    assert reply.message_verdict is not None
    assert reply.message_verdict.words == ("fucking",)
    assert '"fucking" is swearing' in reply.text
    assert reply.conversation == before
    assert (reply.reply_verdict, reply.tokens, reply.origin) == (None, 0, "refused")


def test_a_refused_message_still_shows_its_picture(bot: Bot) -> None:
    reply = bot.reply("You are a fucking fool", image=tiny_image())
    assert reply.refused
    assert reply.conversation.turns == ()
    assert reply.conversation.picture is not None


def test_somebody_in_need_gets_help(bot: Bot) -> None:
    assert bot.reply("I want to kill myself").text == HELP


def test_an_unsafe_reply_gives_way_to_the_next_best(bot: Bot, checkpoint: Checkpoint) -> None:
    with torch.no_grad():  # an untrained model hardly ever ends a reply, so it finds only one
        checkpoint.model.embeddings.weight[checkpoint.tokenizer.end_id] *= -4
    likeliest = bot.reply("Hello.").text
    bot.guard = banning(likeliest)
    reply = bot.reply("Hello.")
    assert reply.text not in (likeliest, *SUBJECTS)
    assert reply.reply_verdict == Verdict(safe=False, score=0.9, check="mine")
    assert reply.origin == "next_best"
    assert not reply.refused
    assert reply.tokens > 0
    assert reply.conversation.texts() == ("Hello.", reply.text)


def test_where_no_reply_is_safe_the_bot_changes_the_subject(bot: Bot) -> None:
    def check(text: str, context: Sequence[str]) -> Verdict:
        return Verdict(safe=text == "Hello.")

    bot.guard = Guard(checks=(check,))
    reply = bot.reply("Hello.")
    assert reply.text in SUBJECTS
    assert (reply.tokens, reply.origin) == (0, "changed_subject")
    assert reply.reply_verdict == Verdict(safe=False)
    assert reply.conversation.texts() == ("Hello.", reply.text)


def test_the_guard_is_told_what_was_said_before(bot: Bot) -> None:
    told = list[tuple[str, ...]]()

    def check(text: str, context: Sequence[str]) -> Verdict:
        told.append(tuple(context))
        return Verdict(safe=True)

    bot.guard = Guard(checks=(check,))
    bot.reply("And you?", conversation=EMPTY.add("bot", "I sail."))
    assert told == [(), ("I sail.",), ("I sail.", "And you?")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(text=st.text(), seed=st.integers(-(2**63), 2**63 - 1))
def test_whatever_is_said_the_reply_is_one_visible_line(bot: Bot, text: str, seed: int) -> None:
    bot.search = SAMPLING
    reply = bot.reply(text, seed=seed)
    assert reply.text
    assert tidy(reply.text) == reply.text
    assert all(tidy(turn.text) == turn.text for turn in reply.conversation.turns)


def test_the_seed_decides_what_is_drawn(bot: Bot) -> None:
    bot.search = SAMPLING
    drawn = [bot.reply("Hello.", seed=seed).text for seed in range(4)]
    assert [bot.reply("Hello.", seed=seed).text for seed in range(4)] == drawn
    assert len(set(drawn)) > 1
    with pytest.raises(ConfigError, match=r"seed: expected .*, got 9223372036854775808"):
        bot.reply("Hello.", seed=2**63)


def test_a_message_has_a_longest_length(bot: Bot) -> None:
    assert bot.reply("a " * (MAX_CHARACTERS // 2)).text
    with pytest.raises(ConfigError, match="message: expected at most 20000 characters"):
        bot.reply("a" * (MAX_CHARACTERS + 1))


def test_style_and_persona_are_admitted_as_a_person_might_say_them(bot: Bot) -> None:
    assert bot.admit(" I  am\na sailor ") == "I am a sailor"
    assert bot.admit_style(" Witty \n") == "Witty"
    for admit in (bot.admit, bot.admit_style):
        with pytest.raises(ConfigError, match='"fucking" is swearing'):
            admit("a fucking sailor")


def test_the_bundled_guard_admits_every_published_style_but_the_worst(tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "tiny", precision="fp32")
    bot = load(tmp_path / "tiny")
    examples = open_task("picture_talk", tmp_path).examples("train")
    styles = {POSITIVE, NEGATIVE, *(e.style for e in examples if e.style is not None)}
    assert len(styles) > 100
    refused = styles & {"Hateful", "Cruel", "Malicious"}
    for style in refused:
        with pytest.raises(ConfigError, match="something that I will not be"):
            bot.admit_style(style)
    assert {bot.admit_style(style) for style in styles - refused} == styles - refused
    with pytest.raises(ConfigError, match="insult"):
        bot.admit_style("a stupid idiot, you stupid idiot")


def test_threads_share_a_bot_without_mixing_conversations(bot: Bot) -> None:
    messages = [f"I have {count} dogs, have you?" for count in range(8)]

    def talk(message: str) -> tuple[str, ...]:
        seed = messages.index(message)
        conversation = bot.look(tiny_image(seed=seed))
        for _ in range(3):
            conversation = bot.reply(message, conversation=conversation, seed=seed).conversation
        return conversation.texts()

    one_by_one = [talk(message) for message in messages]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(talk, messages)) == one_by_one


def test_threads_open_the_picture_encoder_once(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[ImageEncoder]()

    def open_slowly(_: EncoderOptions) -> ImageEncoder:
        time.sleep(0.05)
        opened.append(TinyEncoder())
        return opened[-1]

    monkeypatch.setitem(ENCODERS, "tiny", Entry(open_slowly, None, "none"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(bot.look, [tiny_image()] * 4))
    assert len(opened) == 1


def test_gendered_words_are_banned_where_the_checkpoint_or_the_caller_says_so(
    bot: Bot, checkpoint: Checkpoint
) -> None:
    tokenizer, guard = checkpoint.tokenizer, bot.guard
    with torch.no_grad():  # one that wants to say nothing else
        checkpoint.model.embeddings.weight[tokenizer.encode(" she")] *= 3
    config = replace(checkpoint.config, ban_gendered_words=True)
    banning_engine = plain_engine(replace(checkpoint, config=config))
    for engine, gender, ban, banned in (
        (bot.engine, "f0m0", None, False),
        (bot.engine, None, True, True),
        (banning_engine, "f0m0", None, True),
        (banning_engine, "f1m0", None, False),
        (banning_engine, "f0m0", False, False),
    ):
        one = Bot(engine, guard=guard, gender=gender, ban_gendered_words=ban)
        free = Bot(bot.engine, guard=guard, gender=gender)
        replies = [one.reply(text).text for text in ("Hello.", "Who sails?", "Two dogs run.")]
        assert not banned or {gender_token(text) for text in replies} == {"f0m0"}
        same = [free.reply(text).text for text in ("Hello.", "Who sails?", "Two dogs run.")]
        assert banned or replies == same


def test_a_bot_is_loaded_from_its_folder(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(gender="f0m0")
    save_checkpoint(checkpoint, tmp_path / "tiny", precision="fp32")
    bot = load(tmp_path / "tiny", device="cpu")
    assert bot.gender == "f0m0"
    assert bot.search == checkpoint.config.search
    assert bot.reply("You are a fucking fool").refused
    other = load(str(tmp_path / "tiny"), gender="none", search=SAMPLING, guard=Guard(checks=()))
    assert other.gender is None
    assert other.search == SAMPLING
    assert not other.reply("You are a fucking fool").refused


def test_loading_refuses_what_is_not_there(tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "tiny", precision="fp32")
    with pytest.raises(CheckpointError, match="no such folder"):
        load(tmp_path / "none")
    with pytest.raises(ConfigError, match="gender: no control '__end__'; expected one of f0m0, "):
        load(tmp_path / "tiny", gender="__end__")
    with pytest.raises(ConfigError, match="engine: no engine 'fp23'; did you mean 'fp32'"):
        load(tmp_path / "tiny", engine="fp23")
    for device in ("toaster", "cuda:99"):
        with pytest.raises(ConfigError, match=f"device: .*{device}"):
            load(tmp_path / "tiny", device=device)


def test_the_weights_of_the_picture_encoder_are_passed_on(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[EncoderOptions]()

    def remember(request: EncoderOptions) -> ImageEncoder:
        asked.append(request)
        return TinyEncoder()

    monkeypatch.setitem(ENCODERS, "tiny", Entry(remember, None, "none", published="elsewhere"))
    with pytest.raises(ConfigError, match=r"tiny: needs its weights, .* elsewhere, licence: none"):
        bot.look(tiny_image())
    Bot(bot.engine, guard=bot.guard, encoder_weights="tiny.pth").look(tiny_image())
    assert [request.weights for request in asked] == ["tiny.pth"]


def test_weights_for_an_encoder_that_has_its_own_are_refused_at_once() -> None:
    engine = plain_engine(tiny_checkpoint())
    with pytest.raises(ConfigError, match="efficientnet_lite0: expected no weights, it has its"):
        Bot(engine, guard=open_guard(GuardConfig(enabled=False)), encoder_weights="weights.pth")
