"""Talking to a model: ``openmmb chat`` and ``openmmb reply``."""

import json as json_format
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from openmmb.chat.typed_path import parse_picture
from openmmb.cli.flags import (
    DEFAULT_CHECKPOINT,
    CheckpointArg,
    Device,
    EngineKind,
    Gender,
    Lines,
    PathOrNone,
    PictureOrNone,
    Switch,
    Words,
    complain,
)
from openmmb.cli.safety import DEFAULT_GUARD, STDIN, GuardArg, GuardFlags, PictureMode
from openmmb.errors import ConfigError
from openmmb.hub import resolve
from openmmb.text.printable import printable

if TYPE_CHECKING:
    from openmmb.chat.bot import Bot
    from openmmb.chat.conversation import Conversation
    from openmmb.chat.request import Reply
    from openmmb.chat.session import Session


@dataclass(frozen=True)
class BotFlags:
    """Who the bot is and how it talks."""

    style: Words = None
    """How the bot talks: positive/neutral, negative, a trait such as Curious, or none."""
    persona: Lines = ()
    """A line about who the bot is; once for each line."""
    gender: Gender = "checkpoint"
    """Control of every reply: f0m0 asks for no gendered words."""
    ban_gendered_words: Switch = False
    """Also ban gendered words from the search for a reply."""
    device: Device = "auto"
    """Device that the model runs on."""
    engine: EngineKind = "auto"
    """Kind of engine: fp32 computes as training does; bf16 and int8 are faster and round; cuda
    and cuda-fp32 are the same for graphics cards; plain is PyTorch's own layers; auto is the
    checkpoint's own, or fp32."""
    encoder_weights: PathOrNone = None
    """Weights of the model's picture encoder, if it does not come with them."""
    no_guard: Switch = False
    """Let both sides say everything."""

    def load(self, checkpoint: Path, guard: GuardFlags, *, pictures: PictureMode = "off") -> "Bot":
        """Load the model and its guard.

        Args:
            checkpoint: The model.
            guard: What its guard refuses.
            pictures: Whether pictures are judged where ``guard`` does not say.

        Raises:
            OpenMMBError: One of them cannot be loaded.
        """
        from openmmb.cli.progress import waiting

        with waiting("loading"):
            return self.load_unseen(checkpoint, guard, pictures=pictures)

    def load_unseen(
        self, checkpoint: Path, guard: GuardFlags, *, pictures: PictureMode = "off"
    ) -> "Bot":
        """Load the model and its guard, as ``load`` does, without showing that it takes a moment.

        Raises:
            OpenMMBError: One of them cannot be loaded.
        """
        from openmmb.chat.bot import load
        from openmmb.safety.guard import open_guard
        from openmmb.vision.encoders import ENCODERS, find_encoder

        bot = load(
            checkpoint,
            gender=None if self.gender == "checkpoint" else self.gender,
            ban_gendered_words=self.ban_gendered_words or None,
            guard=open_guard(guard.config(enabled=not self.no_guard, pictures=pictures)),
            device=self.device,
            engine=self.engine,
            encoder_weights=self.encoder_weights,
        )
        if self.encoder_weights is not None:
            encoder = find_encoder(bot.engine.config.encoder)
            complain(f"{encoder}: licence of its weights: {ENCODERS[encoder].licence}")
        return bot

    def begin(self, bot: "Bot", saved: Path | None = None) -> "Conversation":
        """Return the conversation before anything is said, or one that was saved.

        Style and persona of the flags take the place of those that were saved.

        Raises:
            ConfigError: The guard refuses the style, a line of the persona, or what was saved; or
                that cannot be read.
        """
        from openmmb.chat.conversation import EMPTY

        begun = EMPTY
        if saved is not None:
            from openmmb.chat.conversation_file import read_conversation

            begun = read_conversation(saved, bot)
        if self.style and (admitted := bot.admit_style(self.style)):
            from openmmb.chat.commands import describe_style, name_style

            style = name_style(admitted)
            begun = replace(begun, style=style)
            if (told := describe_style(style)) != f"style: {style}":
                complain(told)
        persona = tuple(filter(None, map(bot.admit, self.persona)))
        return replace(begun, persona=persona) if persona else begun


BotArg = Annotated[BotFlags, OmitArgPrefixes]
DEFAULT_BOT = BotFlags()


def chat(
    checkpoint: CheckpointArg = DEFAULT_CHECKPOINT,
    *,
    image: PictureOrNone = None,
    conversation: PathOrNone = None,
    seed: int = 0,
    bot: BotArg = DEFAULT_BOT,
    guard: GuardArg = DEFAULT_GUARD,
) -> None:
    """Chat in the terminal, or line by line from a pipe.

    From a pipe, each line gets one line: the reply, or an empty one. Exit code 0: all lines were
    done; 1: one could not be; 2: an error.

    Args:
        checkpoint: Folder of a model, or its ORG/NAME on the hub; by default the bundled small.
        image: Picture to talk about; the bot speaks first.
        conversation: Saved conversation to go on with.
        seed: Seed of the search, where its method draws at random.
        bot: Who the bot is and how it talks.
        guard: What both sides may not say.
    """
    from openmmb.chat.waiting import chat_while_loading, on_terminal

    def begin(loaded: "Bot") -> "Conversation":
        begun = bot.begin(loaded, conversation)
        return begun if image is None else loaded.look(parse_picture(image), begun)

    def open_bot(name: str) -> "Bot":
        return bot.load(Path(name), guard)

    def open_session() -> "Session":
        from openmmb.chat.terminal import begin_chat

        loaded = bot.load_unseen(folder, guard)
        return begin_chat(loaded, begin(loaded), seed=seed, open_bot=open_bot)

    with suppress(KeyboardInterrupt):  # leaving is no mistake
        if on_terminal():
            folder = resolve(checkpoint)  # a download shows how far it is
            if not chat_while_loading(open_session):
                sys.stdout.flush()
                os._exit(0)  # nobody waits for what is being loaded
            return
        from openmmb.chat.terminal import chat_with

        loaded = bot.load(checkpoint, guard)
        if not chat_with(loaded, begin(loaded), seed=seed, open_bot=open_bot):
            raise SystemExit(1)


def reply(
    text: Annotated[Positional[str], arg(metavar="TEXT")],
    checkpoint: CheckpointArg = DEFAULT_CHECKPOINT,
    *,
    image: PictureOrNone = None,
    conversation: PathOrNone = None,
    seed: int = 0,
    json: Switch = False,
    bot: BotArg = DEFAULT_BOT,
    guard: GuardArg = DEFAULT_GUARD,
) -> None:
    """Print one reply.

    Args:
        text: Message to the bot; - reads it from standard input; empty lets the bot speak first.
        checkpoint: Folder of a model, or its ORG/NAME on the hub; by default the bundled small.
        image: Picture that the message is about.
        conversation: Saved conversation that the message goes on with.
        seed: Seed of the search, where its method draws at random.
        json: Print an object with the reply, its origin, time and length, and the guard's verdicts.
        bot: Who the bot is and how it talks.
        guard: What both sides may not say.
    """
    from openmmb.text.normalize import tidy

    message = _read_message() if text == STDIN else text
    loaded = bot.load(checkpoint, guard)
    begun = bot.begin(loaded, conversation)
    picture = None if image is None else parse_picture(image)
    answer = loaded.reply(message, image=picture, conversation=begun, seed=seed)
    _tell_cut(tidy(message), begun, loaded)
    print(_as_json(answer) if json else printable(answer.text))


def _read_message() -> str:
    """Read what standard input has, as much as shows that it is too long for a message."""
    from openmmb.chat.strict import MAX_CHARACTERS

    if sys.stdin is None:
        raise ConfigError("-: standard input is closed")
    message = sys.stdin.read(MAX_CHARACTERS + 1)
    if not message.strip():
        raise ConfigError("-: standard input is empty; expected a message")
    return message


def _tell_cut(message: str, begun: "Conversation", bot: "Bot") -> None:
    """Say how much of a message the model reads, where that is not all of it."""
    from openmmb.chat.exchange import count_read

    read, total = count_read(message, begun, bot.engine, gender=bot.gender)
    if read < total:
        complain(f"the model reads the last {read} of the {total} tokens of this")


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
            "guard": {side: verdict and asdict(verdict) for side, verdict in verdicts.items()},
        },
        ensure_ascii=False,
    )
