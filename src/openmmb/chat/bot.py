"""A model that answers.

Sizes: I image vectors, F features in each.
"""

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from openmmb.chat.conversation import EMPTY, NO_STYLE, Conversation, Picture
from openmmb.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from openmmb.data.example import Example
from openmmb.engine.generate import generate
from openmmb.engine.packed import pack
from openmmb.errors import CheckpointError, ConfigError
from openmmb.safety.answers import change_subject, explain
from openmmb.safety.ban import no_gendered_words
from openmmb.safety.guard import Guard, GuardConfig, open_guard
from openmmb.safety.verdict import Verdict
from openmmb.search.config import SearchConfig
from openmmb.search.constraints import Constraint
from openmmb.text.gender import GENDER_TOKENS
from openmmb.text.normalize import tidy
from openmmb.vision.encoders import ImageEncoder, open_encoder
from openmmb.vision.image import load_image

MAX_CHARACTERS = 20_000
"""Of one message. A model reads far less: the last tokens that its context has room for."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the bot says, and how it came to it.

    Attributes:
        text: The reply, on one line; where the person's message was refused, why.
        conversation: With this exchange in it, unless the message was refused.
        seconds: From the message to the reply.
        tokens: Length of the reply; 0 where it is not the model's.
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

    Any number of conversations and threads may share one.

    Attributes:
        checkpoint: Its model answers, on the device where it is.
        guard: Judges both sides.
        search: How replies are searched for.
        gender: Control of every reply, one of ``GENDER_TOKENS`` or None.
        encoder_weights: Of the checkpoint's picture encoder, where it does not come with them.

    Args:
        ban_gendered_words: Ban them from the search for a reply; None: as the checkpoint says, if
            the control is ``f0m0``.

    Raises:
        ConfigError: ``gender`` is no control.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        guard: Guard,
        search: SearchConfig | None = None,
        gender: str | None = None,
        ban_gendered_words: bool | None = None,
        encoder_weights: Path | str | None = None,
    ) -> None:
        if gender is not None and gender not in GENDER_TOKENS:
            known = ", ".join(GENDER_TOKENS)
            raise ConfigError(f"gender: no control {gender!r}; there are: {known}")
        self.checkpoint = checkpoint
        self.guard = guard
        self.search = search or checkpoint.config.search
        self.gender = gender
        self.encoder_weights = encoder_weights
        if ban_gendered_words is None:
            ban_gendered_words = checkpoint.config.ban_gendered_words and gender == "f0m0"
        self._rules = self._ban() if ban_gendered_words else []
        self._encoder: ImageEncoder | None = None
        self._opening = threading.Lock()

    def reply(
        self,
        text: str = "",
        *,
        image: Path | str | bytes | Image.Image | None = None,
        conversation: Conversation = EMPTY,
        seed: int = 0,
    ) -> Reply:
        """Answer a message, or say something first if there is none.

        Args:
            text: What the person says.
            image: A picture to look at from now on, as for ``look``.
            conversation: What was said before.
            seed: Decides the draws of a search that draws.

        Raises:
            ImageError: The picture cannot be read.
            ConfigError: The message is too long, or the seed is no 64-bit number.
        """
        started = time.perf_counter()
        text = tidied(text)
        if not -(2**63) <= seed < 2**63:
            raise ConfigError(f"seed: {seed} does not fit into 64 bits; 0 would be right")
        if image is not None:
            conversation = self.look(image, conversation)
        heard = self.guard.judge(text, conversation.texts()) if text else None
        if heard is not None and not heard.safe:
            answer, tokens, said = explain(heard), 0, None
        else:
            if text:
                conversation = conversation.said("person", text)
            answer, tokens, said = self._answer(conversation, seed)
            conversation = conversation.said("bot", answer)
        return Reply(
            text=answer,
            conversation=conversation,
            seconds=time.perf_counter() - started,
            tokens=tokens,
            seed=seed,
            heard=heard,
            said=said,
        )

    def look(
        self, image: Path | str | bytes | Image.Image, conversation: Conversation = EMPTY
    ) -> Conversation:
        """Return the conversation with another picture to look at.

        Args:
            image: A path, a file's bytes, or a picture that is decoded already.
            conversation: What was said before.

        Raises:
            ImageError: The picture cannot be read.
            ConfigError: The picture encoder lacks its weights.
            CheckpointError: The picture encoder or its weights do not fit the model.
        """
        source = Path(image) if isinstance(image, str) else image
        pixels = source if isinstance(source, Image.Image) else load_image(source)
        name = tidy(source.name) if isinstance(source, Path) else "picture"
        vectors = self._open_encoder().encode([pixels.convert("RGB")])[0]
        return replace(conversation, picture=Picture(name=name, vectors=vectors))

    def admit(self, text: str) -> str:
        """Return a line of a persona, on one line, if a person might say it too.

        Raises:
            ConfigError: It is too long, or the guard refuses it; says why.
        """
        return self._admitted(text, "{}")

    def admit_style(self, text: str) -> str:
        """Return a style, on one line, if a person might say of themselves that they are that.

        A trait is no sentence, and of a lone word ("Witty", "Shy") a classifier of what is said
        knows nothing.

        Raises:
            ConfigError: It is too long, or the guard refuses it; says why.
        """
        return self._admitted(text, "I am {}.")

    def _admitted(self, text: str, sentence: str) -> str:
        text = tidied(text)
        verdict = self.guard.judge(sentence.format(text))
        if not verdict.safe:
            raise ConfigError(explain(verdict))
        return text

    def _answer(self, conversation: Conversation, seed: int) -> tuple[str, int, Verdict]:
        """Return the first safe reply, its length, and the verdict on the likeliest one."""
        context = conversation.texts()
        picture = conversation.picture
        [found] = generate(
            self.checkpoint,
            [self._example(conversation)],
            [None if picture is None else picture.vectors],
            self.search,
            rules=self._rules,
            generators=[torch.Generator(self._device).manual_seed(seed)],
        )
        verdicts = []
        for reply in found:
            verdicts.append(self.guard.judge(reply.text, context))
            if reply.text and verdicts[-1].safe:
                return reply.text, reply.num_tokens, verdicts[0]
        return change_subject(seed + len(context)), 0, verdicts[0]

    def _example(self, conversation: Conversation) -> Example:
        """Return the conversation as the model was trained to read it."""
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

    def _ban(self) -> list[Constraint]:
        size = self.checkpoint.model.vocab_size
        return no_gendered_words(self.checkpoint.tokenizer, vocab_size=size, device=self._device)

    @property
    def _device(self) -> torch.device:
        return self.checkpoint.model.device

    def _open_encoder(self) -> ImageEncoder:
        """Return the picture encoder, which is opened when the first picture comes."""
        with self._opening:
            if self._encoder is None:
                config = self.checkpoint.config
                encoder = open_encoder(
                    config.encoder, weights=self.encoder_weights, device=str(self._device)
                )
                given = encoder.num_vectors, encoder.feature_dim
                taken = config.model.image_vectors, config.model.image_dim
                if given != taken:
                    raise CheckpointError(
                        f"{config.name}: the pictures of {config.encoder} have the shape {given}, "
                        f"but the model takes {taken}"
                    )
                self._encoder = encoder
            return self._encoder


def tidied(text: str) -> str:
    """Put what a person enters on one line, without anything invisible.

    Raises:
        ConfigError: It is longer than ``MAX_CHARACTERS``.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(
            f"message: over {MAX_CHARACTERS} characters; a shorter one would be right"
        )
    return tidy(text)


def load(
    checkpoint: Path | str = "tiny",
    *,
    search: SearchConfig | None = None,
    gender: str | None = "checkpoint",
    ban_gendered_words: bool | None = None,
    guard: Guard | None = None,
    device: str = "auto",
    encoder_weights: Path | str | None = None,
) -> Bot:
    """Load a checkpoint to talk to; on a CPU its weights are laid out for that alone.

    Args:
        checkpoint: Its folder, or ``tiny`` for the bundled model.
        search: How replies are searched for; by default as the checkpoint says.
        gender: Control of every reply: ``f0m0`` for one without gendered words, None for none,
            by default as the checkpoint says.
        ban_gendered_words: Ban them from the search for a reply; None: as the checkpoint says, if
            the control is ``f0m0``.
        guard: Judges both sides; by default as ``GuardConfig`` says.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one.
        encoder_weights: File or folder of the weights of the checkpoint's picture encoder, where it
            does not come with them; read when the first picture comes.

    Raises:
        CheckpointError: The folder is not a checkpoint.
        ConfigError: There is no such device or no such control.
    """
    loaded = load_checkpoint(find_checkpoint(checkpoint))
    loaded.model.to(_open_device(device))
    pack(loaded.model)
    return Bot(
        loaded,
        guard=guard or open_guard(GuardConfig()),
        search=search,
        gender=loaded.config.gender if gender == "checkpoint" else gender,
        ban_gendered_words=ban_gendered_words,
        encoder_weights=encoder_weights,
    )


def _open_device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: a PyTorch without CUDA
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"device {name!r}: {reason}; cpu would be right") from error
