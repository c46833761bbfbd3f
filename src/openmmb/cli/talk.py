"""Talking to a model: ``openmmb chat`` and ``openmmb reply``."""

import json as json_format
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from openmmb.cli.flags import (
    DEFAULT_CHECKPOINT,
    CheckpointArg,
    Device,
    Gender,
    Lines,
    PathOrNone,
    Switch,
    Words,
    complain,
)
from openmmb.cli.safety import DEFAULT_GUARD, GuardArg
from openmmb.text.printable import printable

if TYPE_CHECKING:
    from openmmb.chat.bot import Bot
    from openmmb.chat.conversation import Conversation
    from openmmb.chat.request import Reply
    from openmmb.safety.guard import GuardConfig


def chat(
    checkpoint: CheckpointArg = DEFAULT_CHECKPOINT,
    *,
    image: PathOrNone = None,
    style: Words = None,
    persona: Lines = (),
    gender: Gender = "checkpoint",
    ban_gendered_words: Switch = False,
    no_guard: Switch = False,
    guard: GuardArg = DEFAULT_GUARD,
    device: Device = "auto",
    encoder_weights: PathOrNone = None,
) -> None:
    """Chat in the terminal, or line by line from a pipe.

    Args:
        checkpoint: Folder of a model; by default the bundled one, tiny.
        image: Picture to talk about; the bot speaks first.
        style: How the bot talks: positive/neutral, negative, a trait such as Curious, or none.
        persona: A line about who the bot is; once for each line.
        gender: Control of every reply: f0m0 asks for no gendered words.
        ban_gendered_words: Also ban gendered words from the search for a reply.
        no_guard: Let both sides say everything.
        guard: What both sides may not say.
        device: Where the model runs.
        encoder_weights: Weights of the model's picture encoder, if it does not come with them.
    """
    with suppress(KeyboardInterrupt):  # leaving is no mistake
        bot = _load(
            checkpoint,
            gender=gender,
            ban=ban_gendered_words,
            guard=guard.config(enabled=not no_guard),
            device=device,
            encoder_weights=encoder_weights,
        )
        conversation = _begin(bot, style, persona)
        if image is not None:
            conversation = bot.look(image, conversation)
        # Imported after the model was loaded, which shows that it takes a moment.
        from openmmb.chat.terminal import chat_with

        chat_with(bot, conversation)


def reply(
    text: Annotated[Positional[str], arg(metavar="TEXT")],
    checkpoint: CheckpointArg = DEFAULT_CHECKPOINT,
    *,
    image: PathOrNone = None,
    style: Words = None,
    persona: Lines = (),
    gender: Gender = "checkpoint",
    ban_gendered_words: Switch = False,
    no_guard: Switch = False,
    guard: GuardArg = DEFAULT_GUARD,
    seed: int = 0,
    json: Switch = False,
    device: Device = "auto",
    encoder_weights: PathOrNone = None,
) -> None:
    """Print one reply.

    Args:
        text: What is said to the bot; empty to let it speak first.
        checkpoint: Folder of a model; by default the bundled one, tiny.
        image: Picture that the text is about.
        style: How the bot talks: positive/neutral, negative, a trait such as Curious, or none.
        persona: A line about who the bot is; once for each line.
        gender: Control of the reply: f0m0 asks for no gendered words.
        ban_gendered_words: Also ban gendered words from the search for a reply.
        no_guard: Let both sides say everything.
        guard: What both sides may not say.
        seed: Decides the draws of a search that draws.
        json: Print an object with the reply, its time and length, and the guard's verdicts.
        device: Where the model runs.
        encoder_weights: Weights of the model's picture encoder, if it does not come with them.
    """
    bot = _load(
        checkpoint,
        gender=gender,
        ban=ban_gendered_words,
        guard=guard.config(enabled=not no_guard),
        device=device,
        encoder_weights=encoder_weights,
    )
    conversation = _begin(bot, style, persona)
    answer = bot.reply(text, image=image, conversation=conversation, seed=seed)
    print(_as_json(answer) if json else printable(answer.text))


def _load(
    checkpoint: Path,
    *,
    gender: Gender,
    ban: bool,
    guard: "GuardConfig",
    device: Device,
    encoder_weights: Path | None,
) -> "Bot":
    from openmmb.cli.progress import waiting

    with waiting("loading"):
        from openmmb.chat.bot import load
        from openmmb.safety.guard import open_guard
        from openmmb.vision.encoders import ENCODERS, find_encoder

        bot = load(
            checkpoint,
            gender=None if gender == "checkpoint" else gender,
            ban_gendered_words=ban or None,
            guard=open_guard(guard),
            device=device,
            encoder_weights=encoder_weights,
        )
    if encoder_weights is not None:
        encoder = find_encoder(bot.checkpoint.config.encoder)
        complain(f"{encoder}: licence of its weights: {ENCODERS[encoder].licence}")
    return bot


def _begin(bot: "Bot", style: str | None, persona: Sequence[str]) -> "Conversation":
    from openmmb.chat.conversation import Conversation

    return Conversation(
        style=bot.admit_style(style or "") or None,
        persona=tuple(filter(None, map(bot.admit, persona))),
    )


def _as_json(reply: "Reply") -> str:
    from dataclasses import asdict

    verdicts = {"user": reply.message_verdict, "reply": reply.reply_verdict}
    return json_format.dumps(
        {
            "text": reply.text,
            "seconds": round(reply.seconds, 3),
            "tokens": reply.tokens,
            "seed": reply.seed,
            "origin": reply.origin,
            "refused": reply.refused,
            "guard": {side: v and asdict(v) for side, v in verdicts.items()},
        },
        ensure_ascii=False,
    )
