"""Talking to a model: ``openmmb chat`` and ``openmmb reply``."""

import json as json_format
from contextlib import suppress
from dataclasses import dataclass
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
from openmmb.cli.safety import DEFAULT_GUARD, GuardArg, GuardFlags, PictureMode
from openmmb.text.printable import printable

if TYPE_CHECKING:
    from openmmb.chat.bot import Bot
    from openmmb.chat.conversation import Conversation
    from openmmb.chat.request import Reply


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
    """Kind of engine: plain is PyTorch's own layers, fp32 the fastest in float32."""
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

    def begin(self, bot: "Bot") -> "Conversation":
        """Return the conversation before anything is said.

        Raises:
            ConfigError: The guard refuses the style or a line of the persona.
        """
        from openmmb.chat.conversation import Conversation

        return Conversation(
            style=bot.admit_style(self.style or "") or None,
            persona=tuple(filter(None, map(bot.admit, self.persona))),
        )


BotArg = Annotated[BotFlags, OmitArgPrefixes]
DEFAULT_BOT = BotFlags()


def chat(
    checkpoint: CheckpointArg = DEFAULT_CHECKPOINT,
    *,
    image: PictureOrNone = None,
    bot: BotArg = DEFAULT_BOT,
    guard: GuardArg = DEFAULT_GUARD,
) -> None:
    """Chat in the terminal, or line by line from a pipe.

    Args:
        checkpoint: Folder of a model, or its ORG/NAME on the hub; by default the bundled tiny.
        image: Picture to talk about; the bot speaks first.
        bot: Who the bot is and how it talks.
        guard: What both sides may not say.
    """
    with suppress(KeyboardInterrupt):  # leaving is no mistake
        loaded = bot.load(checkpoint, guard)
        conversation = bot.begin(loaded)
        if image is not None:
            conversation = loaded.look(parse_picture(image), conversation)
        # Imported after the model was loaded, which shows that it takes a moment.
        from openmmb.chat.terminal import chat_with

        chat_with(loaded, conversation)


def reply(
    text: Annotated[Positional[str], arg(metavar="TEXT")],
    checkpoint: CheckpointArg = DEFAULT_CHECKPOINT,
    *,
    image: PictureOrNone = None,
    seed: int = 0,
    json: Switch = False,
    bot: BotArg = DEFAULT_BOT,
    guard: GuardArg = DEFAULT_GUARD,
) -> None:
    """Print one reply.

    Args:
        text: Message to the bot; empty to let it speak first.
        checkpoint: Folder of a model, or its ORG/NAME on the hub; by default the bundled tiny.
        image: Picture that the message is about.
        seed: Seed of the search, where its method draws at random.
        json: Print an object with the reply, its origin, time and length, and the guard's verdicts.
        bot: Who the bot is and how it talks.
        guard: What both sides may not say.
    """
    loaded = bot.load(checkpoint, guard)
    picture = None if image is None else parse_picture(image)
    answer = loaded.reply(text, image=picture, conversation=bot.begin(loaded), seed=seed)
    print(_as_json(answer) if json else printable(answer.text))


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
