"""A bot behind a queue: what all requests of a server share."""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from PIL import Image

from openmmb.chat.batcher import Batcher
from openmmb.chat.bot import Bot
from openmmb.chat.conversation import EMPTY, Conversation
from openmmb.chat.process import Process
from openmmb.chat.request import Reply, Request
from openmmb.errors import ImageError, OpenMMBError, unknown
from openmmb.serve.answering import Answering
from openmmb.serve.choices import Choice, choices_of
from openmmb.serve.config import ServeConfig
from openmmb.serve.failures import RequestFailure, busy, not_ready, too_late
from openmmb.serve.history import admit_history
from openmmb.serve.messages import PictureUri, read_messages
from openmmb.serve.monitor import Monitor
from openmmb.serve.protocol import ChatRequest
from openmmb.serve.search_fields import count_replies, plan_search
from openmmb.vision.image import picture_from_data_uri
from openmmb.vision.limits import STRICT_LIMITS

T = TypeVar("T")
log = logging.getLogger("openmmb.serve")

LOADING: Final = "openmmb-load"
PREPARING = 2
"""Requests whose pictures and conversations are read at a time, beside the search."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A bot and how it is presented.

    Attributes:
        bot: Answers.
        name: What clients call the model; None: as the checkpoint calls itself.
        frame: Persona and style where a request names none.
        card: What the model is and is not, as Markdown.
    """

    bot: Bot
    name: str | None = None
    frame: Conversation = EMPTY
    card: str = ""


Loader = Callable[[], Hosted]


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply and what was made of the request.

    Attributes:
        request: As the bot was asked.
        reply: What it answered.
        choices: As the client is told of it.
        left_out: Numbers of messages that the guard keeps from the model.
        notes: What a person should know about what the model read.
    """

    request: Request
    reply: Reply
    choices: tuple[Choice, ...]
    left_out: tuple[int, ...]
    notes: tuple[str, ...]


class Ready:
    """What there is once the model is loaded.

    Args:
        hosted: Answers.
        config: What is allowed.
        monitor: Counts.
    """

    def __init__(self, hosted: Hosted, *, config: ServeConfig, monitor: Monitor) -> None:
        bot = hosted.bot
        self.bot, self.frame, self.card = bot, hosted.frame, hosted.card
        self.name = hosted.name or bot.engine.config.name
        self._config = config
        self.created = int(time.time())
        self.sees = _sees(bot)
        self._limits = replace(
            STRICT_LIMITS, max_bytes=config.max_image_bytes, max_pixels=config.max_image_pixels
        )
        batcher = Batcher(config.max_rows, on_batch=monitor.batch.observe)
        self.answering = Answering(bot, batcher)
        monitor.waiting.set_function(lambda: len(batcher))

    def prepare(self, asked: ChatRequest) -> tuple[Request, tuple[int, ...], tuple[str, ...]]:
        """Return what the bot is asked, the messages that are left out, and notes.

        Raises:
            OpenMMBError: Something in the request cannot be taken; says what.
        """
        self.check_name(asked.model)
        search = plan_search(asked, self.bot.search, self._config)
        messages = read_messages(asked, self._config)
        admitted = admit_history(messages, self.bot, self.frame)
        conversation = admitted.conversation
        notes = []
        if messages.picture is not None:
            conversation = self._look(messages.picture, conversation)
        if messages.num_pictures > 1:
            notes.append(f"{messages.num_pictures} pictures were sent; the model sees the newest")
        if admitted.left_out:
            listed = ", ".join(map(str, admitted.left_out))
            notes.append(f"messages that the guard refuses are left out: {listed}")
        request = Request(
            messages.text,
            conversation=conversation,
            seed=secrets.randbits(62) if asked.seed is None else asked.seed,
            gender=asked.gender,
            search=search,
            num_replies=count_replies(asked, self._config),
        )
        return request, admitted.left_out, tuple(notes)

    def check_name(self, name: str | None) -> None:
        """Refuse the name of another model.

        Raises:
            RequestFailure: It is another's.
        """
        if name is not None and name != self.name:
            message = f"model: {unknown('model', name, [self.name])}"
            raise RequestFailure(message, status=404, param="model", code="model_not_found")

    def _look(self, picture: PictureUri, conversation: Conversation) -> Conversation:
        field = picture.field
        if not self.sees:
            message = f"{field}: this server sees no pictures; its log says why"
            raise RequestFailure(message, param=field, code="no_vision")
        try:
            image = picture_from_data_uri(picture.uri, limits=self._limits, name=field)
            return self.bot.look(image, conversation)
        except ImageError as error:
            raise RequestFailure(str(error), param=field, code="invalid_image") from None


def _sees(bot: Bot) -> bool:
    """Look at a first picture, so that the next is quick, and say whether that goes."""
    try:
        bot.look(Image.new("RGB", (8, 8)))
    except OpenMMBError as error:
        log.warning("pictures cannot be seen: %s", error)
        return False
    return True


class Service:
    """What all requests of a server share.

    Args:
        loader: Loads the bot; called once, in a thread.
        config: What is allowed.
    """

    def __init__(self, loader: Loader, config: ServeConfig) -> None:
        self.config, self.monitor = config, Monitor()
        self._loader = loader
        self._ready: Ready | None = None
        self._failed = ""
        self._pool, self._process = ThreadPoolExecutor(PREPARING, "openmmb-prepare"), Process()
        self._at_hand = 0
        self.monitor.at_hand.set_function(lambda: self._at_hand)

    @property
    def ready(self) -> Ready:
        """What there is once the model is loaded.

        Raises:
            RequestFailure: It is not loaded yet, or could not be.
        """
        if self._ready is None:
            raise not_ready(self._failed or "the model is being loaded")
        return self._ready

    async def load(self) -> None:
        """Load the model.

        Raises:
            OpenMMBError: It cannot be loaded.
        """
        try:
            self._ready = await asyncio.wrap_future(in_daemon(self._load))
        except BaseException:  # it goes on as it came; whoever asks is told that none will answer
            self._failed = "the model could not be loaded; the server's log says why"
            raise
        self.monitor.loaded.set(1)

    def close(self) -> None:
        """Answer what waits, and end the threads."""
        if self._ready is not None:
            self._ready.answering.close()
        self._pool.shutdown(cancel_futures=True)

    def check_busy(self) -> None:
        """Refuse a request where too many are at hand.

        Raises:
            RequestFailure: There are.
        """
        if self._at_hand >= self.config.max_waiting:
            self.monitor.busy.inc()
            raise busy(f"{self._at_hand} requests are waiting already; try again later")

    def answer(self, asked: ChatRequest) -> "asyncio.Task[Answered]":
        """Begin to answer a request; cancelling the task takes it away.

        Raises:
            RequestFailure: There is no model yet, or too many requests are at hand.
        """
        ready = self.ready
        return self._begin(lambda: self._answer(ready, asked))

    def run(self, work: Callable[[], T]) -> "asyncio.Task[T]":
        """Begin to do something else in a thread, under the same limits.

        Raises:
            RequestFailure: Too many requests are at hand.
        """
        return self._begin(lambda: self._in_thread(work))

    def _begin(self, work: Callable[[], Awaitable[T]]) -> "asyncio.Task[T]":
        self.check_busy()
        self._at_hand += 1
        task = asyncio.ensure_future(self._in_time(work))
        task.add_done_callback(self._end)
        return task

    def _end(self, task: "asyncio.Task[T]") -> None:
        self._at_hand -= 1
        if task.cancelled():
            self.monitor.abandoned.inc()
        else:
            task.exception()  # looked at, whether or not anybody still waits for it

    async def _in_time(self, work: Callable[[], Awaitable[T]]) -> T:
        limit = self.config.time_limit
        try:
            async with asyncio.timeout(limit):
                return await work()
        except TimeoutError:
            self.monitor.late.inc()
            raise too_late(limit) from None

    async def _answer(self, ready: Ready, asked: ChatRequest) -> Answered:
        request, left_out, notes = await self._in_thread(lambda: ready.prepare(asked))
        reply = await ready.answering.reply(request)
        self.monitor.count_reply(reply)
        encode = ready.bot.engine.config.encode
        if reply.context_tokens >= encode.max_context:
            notes = (*notes, f"the model reads the last {encode.max_context} tokens")
        guard = ready.bot.guard
        choices = await self._in_thread(lambda: choices_of(reply, asked.stop, guard))
        return Answered(request, reply, choices, left_out, notes)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        def run() -> T:
            with self._process:
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    def _load(self) -> Ready:
        return Ready(self._loader(), config=self.config, monitor=self.monitor)


def in_daemon(work: Callable[[], T]) -> "Future[T]":
    """Do something in a thread that the program does not wait for when it ends."""
    future: Future[T] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except BaseException as error:  # raised where the result is waited for
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=LOADING, daemon=True).start()
    return future


def is_loading() -> bool:
    """Whether a thread of this process still loads a model.

    Nothing interrupts it, and Python may abort if it ends as usual meanwhile.
    """
    return any(thread.name == LOADING for thread in threading.enumerate())
