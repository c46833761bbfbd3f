"""A model that answers.

Sizes: I image vectors, F features in each, K hypotheses.
"""

import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image

from openmmb.chat.conversation import EMPTY, NO_STYLE, Conversation, Picture
from openmmb.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from openmmb.data.example import Example
from openmmb.errors import ConfigError
from openmmb.generate import generate
from openmmb.safety.guard import Guard, GuardConfig, open_guard
from openmmb.safety.replies import change_subject, explain
from openmmb.safety.verdict import Verdict
from openmmb.search.config import SearchConfig
from openmmb.text.normalize import tidy
from openmmb.vision.encoders import ImageEncoder, open_encoder
from openmmb.vision.image import load_image

MAX_CHARACTERS = 20_000
"""Of one message; the model reads its last 128 tokens at most."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the bot says, and how it came to it.

    Attributes:
        text: The reply; where the person's message was refused, why.
        conversation: With this exchange in it, unless the message was refused.
        seconds: From the message to the reply.
        tokens: Length of the reply.
        seed: Gives the same reply again.
        heard: What the guard says of the person's message; None where there was none.
        said: What the guard says of the model's likeliest reply; None where it did not get to
            reply. If that was unsafe, ``text`` is the next one that is safe, or changes the
            subject.
    """

    text: str
    conversation: Conversation
    seconds: float
    tokens: int
    seed: int
    heard: Verdict | None
    said: Verdict | None

    @property
    def refused(self) -> bool:
        """Whether the person's message was unsafe."""
        return self.heard is not None and not self.heard.safe


class Bot:
    """Answers, and remembers nothing: conversations are values that it is given and gives back.

    Safe to share between any number of conversations.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        guard: Guard,
        search: SearchConfig | None = None,
        gender: str | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.guard = guard
        self.search = search or checkpoint.config.search
        self.gender = gender

    def reply(
        self,
        text: str = "",
        *,
        image: Path | str | bytes | Image.Image | None = None,
        conversation: Conversation = EMPTY,
        seed: int = 0,
    ) -> Reply:
        """Answer a message, or open the conversation if there is none.

        Args:
            text: What the person says.
            image: A picture to look at from now on: a path, a file's bytes, or an RGB picture.
            conversation: What was said before.
            seed: Decides the draws of a search that draws.

        Raises:
            ImageError: The picture cannot be read.
            ConfigError: The message is too long.
        """
        started = time.perf_counter()
        if image is not None:
            conversation = self.look(image, conversation)
        text = self._checked(text)
        heard = self.guard.judge(text, conversation.texts()) if text else None
        if heard is not None and not heard.safe:
            seconds = time.perf_counter() - started
            refusal = explain(heard)
            return Reply(refusal, conversation, seconds, 0, seed, heard=heard, said=None)
        if text:
            conversation = conversation.said("person", text)
        reply, tokens, said = self._answer(conversation, seed)
        return Reply(
            text=reply,
            conversation=conversation.said("bot", reply),
            seconds=time.perf_counter() - started,
            tokens=tokens,
            seed=seed,
            heard=heard,
            said=said,
        )

    def look(
        self, image: Path | str | bytes | Image.Image, conversation: Conversation
    ) -> Conversation:
        """Return the conversation with another picture to look at.

        Raises:
            ImageError: The picture cannot be read.
        """
        source = Path(image) if isinstance(image, str) else image
        pixels = source if isinstance(source, Image.Image) else load_image(source)
        name = source.name if isinstance(source, Path) else "picture"
        vectors = self.encoder.encode([pixels.convert("RGB")])[0]
        return replace(conversation, picture=Picture(name=name, vectors=vectors))

    @cached_property
    def encoder(self) -> ImageEncoder:
        """The picture encoder, opened when the first picture comes."""
        return open_encoder(self.checkpoint.config.encoder)

    def _checked(self, text: str) -> str:
        if len(text) > MAX_CHARACTERS:
            raise ConfigError(
                f"message has {len(text)} characters; at most {MAX_CHARACTERS} are read"
            )
        return tidy(text)

    def _answer(self, conversation: Conversation, seed: int) -> tuple[str, int, Verdict]:
        """Return the first safe reply, its length, and the verdict on the likeliest one."""
        context = conversation.texts()
        picture = conversation.picture
        device = self.checkpoint.model.embeddings.weight.device
        found = generate(
            self.checkpoint,
            [self._example(conversation)],
            [None if picture is None else picture.vectors],
            self.search,
            generator=torch.Generator(device).manual_seed(seed),
        )
        likeliest = self.guard.judge(found[0][0].text, context)
        for reply in found[0]:
            if reply.text and self.guard.judge(reply.text, context).safe:
                return reply.text, reply.num_tokens, likeliest
        return change_subject(seed + len(context)), 0, likeliest

    def _example(self, conversation: Conversation) -> Example:
        style = conversation.style
        if style is None and conversation.picture is not None:
            style = self.checkpoint.config.image_style
        return Example(
            context=conversation.texts(),
            reply="",
            task="chat",
            conversation="",
            persona=conversation.persona,
            style=None if style == NO_STYLE else style,
            gender=self.gender,
        )


def load(
    checkpoint: Path | str = "tiny",
    *,
    search: SearchConfig | None = None,
    gender: str | None = "checkpoint",
    guard: Guard | None = None,
    device: str = "auto",
) -> Bot:
    """Load a checkpoint to talk to.

    Args:
        checkpoint: Its folder, or ``tiny`` for the bundled model.
        search: How replies are searched for; by default as the checkpoint says.
        gender: Control of every reply: ``f0m0`` for one without gendered words, None for none,
            by default as the checkpoint says.
        guard: Judges both sides; by default the bundled lists.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one.

    Raises:
        CheckpointError: The folder is not a checkpoint.
        ConfigError: There is no such device.
    """
    loaded = load_checkpoint(find_checkpoint(checkpoint))
    loaded.model.to(_device(device))
    return Bot(
        loaded,
        guard=guard or open_guard(GuardConfig()),
        search=search,
        gender=loaded.config.gender if gender == "checkpoint" else gender,
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r}: this machine has no GPU that PyTorch can use")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r}: expected auto, cpu or cuda") from error
