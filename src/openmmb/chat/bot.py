"""A model that answers."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from openmmb.chat.admission import LINE, STYLE, Admission, admit
from openmmb.chat.batcher import Batcher
from openmmb.chat.conversation import EMPTY, Conversation
from openmmb.chat.exchange import (
    Exchange,
    begin,
    find_replies,
    take_conversations,
    take_messages,
    take_replies,
    weigh,
)
from openmmb.chat.process import Process
from openmmb.chat.request import NO_GENDER, Reply, Request, as_conversation, find_gender
from openmmb.chat.strict import name_type, require_items, require_kind
from openmmb.chat.viewer import ImageSource, Viewer
from openmmb.checkpoint import find_checkpoint, open_checkpoint
from openmmb.engine.open import Engine, open_engine
from openmmb.errors import ConfigError
from openmmb.safety.ban import no_gendered_words
from openmmb.safety.guard import Guard, GuardConfig, open_guard
from openmmb.search.config import SearchConfig
from openmmb.search.constraints import Constraint


class Bot:
    """Answers, and remembers nothing: conversations are values that it is given and gives back.

    Any number of conversations and threads may share one; threads that wait are answered together.

    Args:
        engine: The model, made ready to answer.
        guard: Judges both sides.
        search: How replies are searched for; None: as the checkpoint says.
        gender: Control of every reply, ``none`` for none; None: as the checkpoint says.
        ban_gendered_words: Ban them from the search for a reply; None: as the checkpoint says, if
            the control is ``f0m0``.
        encoder_weights: File or folder of the weights of the checkpoint's picture encoder, where
            it does not come with them.
        batcher: Says which threads are answered together; None: as many as wait, up to its
            ``MAX_ROWS`` hypotheses in one search.

    Raises:
        ConfigError: ``gender`` is no control, or an argument is of another type.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        guard: Guard,
        search: SearchConfig | None = None,
        gender: str | None = None,
        ban_gendered_words: bool | None = None,
        encoder_weights: Path | str | None = None,
        batcher: Batcher | None = None,
    ) -> None:
        _require(engine, guard, search)
        self.engine, self.guard = engine, guard
        self.search = search or engine.config.search
        self.gender = find_gender(gender or engine.config.gender or NO_GENDER)
        self._admission = Admission()
        self._batcher = Batcher() if batcher is None else batcher
        self._process = Process()
        self._viewer = _viewer_of(engine, self.guard, encoder_weights)
        self._rules = _rules_of(engine, self.gender, wanted=ban_gendered_words)

    def reply(
        self,
        text: str = "",
        *,
        image: ImageSource | None = None,
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
            ConfigError: The message is too long, the seed is no 64-bit number, or something is of
                another type.
        """
        return self.reply_many([Request(text, image, conversation, seed)])[0]

    def reply_many(self, requests: Iterable[Request]) -> list[Reply]:
        """Answer requests together, each as if it came alone; one search finds what shares it.

        The message is judged, and of its conversation whatever this bot has not said or judged
        before; where something may not be said, the reply is a refusal.

        Two replies may be so nearly as likely that the rounding of float32 decides between them;
        only there can company, whose padding changes the order of sums, lead to the other one.

        Raises:
            ImageError: A picture cannot be read; then nothing is answered.
            CheckpointError: The picture encoder or its weights do not fit the model.
            ConfigError: A request is of another type, or the picture encoder lacks its weights.
        """
        started = time.perf_counter()
        requests = require_items("requests", requests, "requests")
        answer = partial(_answer, self, self._admission, self._rules)
        with self._process:
            exchanges = [begin(request, self._viewer) for request in requests]
        kind, rows = weigh(requests, self.search)
        with self._process:
            answered = self._batcher.ask(exchanges, answer, kind=(id(self), kind), rows=rows)
        seconds = time.perf_counter() - started
        return [exchange.reply(seconds) for exchange in answered]

    def look(self, image: ImageSource, conversation: Conversation = EMPTY) -> Conversation:
        """Return the conversation with another picture to look at.

        Args:
            image: A path, the bytes of a file, pixels as Pillow, NumPy (H, W, 3) or PyTorch have
                them, or a ``Picture``. The same pixels are encoded once.
            conversation: What was said before.

        Raises:
            ImageError: The picture cannot be read.
            ConfigError: The picture encoder lacks its weights.
            CheckpointError: The picture encoder or its weights do not fit the model.
        """
        with self._process:
            return replace(as_conversation(conversation), picture=self._viewer.look(image))

    def admit(self, text: str) -> str:
        """Return a line of a persona, on one line, if a person might say it too.

        Raises:
            ConfigError: It is too long, or the guard refuses it; says why.
        """
        with self._process:
            return admit(text, self.guard, form=LINE)

    def admit_style(self, text: str) -> str:
        """Return a style, on one line, if a person might say of themselves that they are that.

        Raises:
            ConfigError: It is too long, or the guard refuses it; says why.
        """
        with self._process:
            return admit(text, self.guard, form=STYLE)

    def admit_conversation(
        self, conversation: Conversation, *, leave_out_refused: bool = False
    ) -> Conversation:
        """Return a conversation that comes from outside, if it may go on here.

        Every turn, persona line and style is put on one line and judged, but for what this bot has
        said or judged itself; and the picture must be one that the model can see.

        Args:
            conversation: From a file, a request, another program.
            leave_out_refused: Go on without the turns that the guard refuses and the answers to
                them, as the bot does with a refused message: for clients that send a whole history
                each time. A persona or a style is never left out.

        Raises:
            ConfigError: The guard refuses a text, or it is too long; says which and why.
            ImageError: The picture is of another encoder.
        """
        conversation = as_conversation(conversation)
        if conversation.picture is not None:
            self._viewer.check(conversation.picture)
        leave_out = leave_out_refused
        with self._process:
            return self._admission.admit(conversation, self.guard, leave_out_refused=leave_out)


def load(
    checkpoint: Path | str = "small",
    *,
    search: SearchConfig | None = None,
    gender: str | None = None,
    ban_gendered_words: bool | None = None,
    guard: Guard | None = None,
    device: str = "auto",
    engine: str = "auto",
    encoder_weights: Path | str | None = None,
) -> Bot:
    """Load a checkpoint to talk to.

    Args:
        checkpoint: Its folder, or ``small`` or ``tiny`` for a bundled model.
        search: How replies are searched for; None: as the checkpoint says.
        gender: Control of every reply: ``f0m0`` for one without gendered words, ``none`` for no
            control; None: as the checkpoint says.
        ban_gendered_words: Ban them from the search for a reply; None: as the checkpoint says, if
            the control is ``f0m0``.
        guard: Judges both sides; None: as ``GuardConfig`` says.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one.
        engine: Kind of engine: ``fp32`` computes as training does; ``bf16`` and ``int8`` are faster
            and round; ``plain`` is PyTorch's own layers; ``auto`` is the checkpoint's own, where it
            names one that can be had here, else ``fp32``.
        encoder_weights: File or folder of the weights of the checkpoint's picture encoder, where it
            does not come with them; read when the first picture comes.

    Raises:
        CheckpointError: The folder is not a checkpoint.
        ConfigError: There is no such device, no such engine or no such control.
    """
    with Process():
        return Bot(
            open_engine(open_checkpoint(find_checkpoint(checkpoint)), device=device, kind=engine),
            guard=open_guard(GuardConfig()) if guard is None else guard,
            search=search,
            gender=gender,
            ban_gendered_words=ban_gendered_words,
            encoder_weights=encoder_weights,
        )


def _answer(
    bot: Bot, known: Admission, rules: Sequence[Constraint], begun: Sequence[Exchange]
) -> list[Exchange]:
    """Answer exchanges that have begun; they stay as they are, so that they can be again."""
    exchanges, guard = [replace(exchange) for exchange in begun], bot.guard
    answerable = take_messages(take_conversations(exchanges, known, guard), guard)
    candidates = find_replies(answerable, bot.engine, bot.search, gender=bot.gender, rules=rules)
    take_replies(answerable, candidates, guard)
    known.remember([exchange.conversation for exchange in answerable], guard)
    return exchanges


def _require(engine: Engine, guard: Guard, search: SearchConfig | None) -> None:
    if not hasattr(engine, "stepper"):
        raise ConfigError(
            f"engine: expected an engine, got {name_type(engine)}; "
            "use openmmb.load(checkpoint), which opens one and makes the Bot"
        )
    require_kind("guard", guard, Guard, "open_guard(GuardConfig(), more=[...])")
    if search is not None:
        require_kind("search", search, SearchConfig, "SearchConfig(...)")


def _viewer_of(engine: Engine, guard: Guard, weights: Path | str | None) -> Viewer:
    judge = guard.judge_picture
    return Viewer(engine.config, device=engine.device, weights=weights, judge=judge)


def _rules_of(engine: Engine, gender: str | None, *, wanted: bool | None) -> list[Constraint]:
    if wanted is None:
        wanted = engine.config.ban_gendered_words and gender == "f0m0"
    if not wanted:
        return []
    size, device = engine.vocab_size, engine.device
    return no_gendered_words(engine.tokenizer, vocab_size=size, device=device)
