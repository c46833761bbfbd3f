"""Messages and the replies to them, many at once: what the guard says, and which reply is taken."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from openmmb.chat.conversation import NO_STYLE, Conversation
from openmmb.chat.request import Reply, Request
from openmmb.data.example import Example
from openmmb.engine.generate import Generated, generate
from openmmb.engine.open import Engine
from openmmb.safety.answers import Origin, change_subject, explain
from openmmb.safety.guard import Guard
from openmmb.safety.verdict import Verdict
from openmmb.search.config import SearchConfig
from openmmb.search.constraints import Constraint


@dataclass
class Exchange:
    """A request on its way to its reply.

    Attributes:
        request: What is asked.
        conversation: As far as it goes by now.
        objects: Names of what its picture shows, for a model that reads them.
        text: The reply; empty until there is one.
        tokens: Its length, where it is the model's.
        origin: Where it comes from.
        message_verdict: On the person's message.
        reply_verdict: On the model's likeliest reply.
    """

    request: Request
    conversation: Conversation
    objects: tuple[str, ...] = ()
    text: str = ""
    tokens: int = 0
    origin: Origin = "model"
    message_verdict: Verdict | None = None
    reply_verdict: Verdict | None = None

    def answer(self, text: str, origin: Origin, *, tokens: int = 0) -> None:
        """Set the reply; unless it is a refusal, it becomes part of the conversation."""
        self.text, self.origin, self.tokens = text, origin, tokens
        if origin != "refused":
            self.conversation = self.conversation.add("bot", text)

    def reply(self, seconds: float) -> Reply:
        """Return the reply as the person gets it."""
        return Reply(
            text=self.text,
            conversation=self.conversation,
            seconds=seconds,
            tokens=self.tokens,
            seed=self.request.seed,
            origin=self.origin,
            message_verdict=self.message_verdict,
            reply_verdict=self.reply_verdict,
        )


def take_messages(exchanges: Sequence[Exchange], guard: Guard) -> list[Exchange]:
    """Judge all messages and add the safe ones to their conversations; answer the others.

    Returns:
        Those that the model is to answer.
    """
    asked = [exchange for exchange in exchanges if exchange.request.text]
    verdicts = guard.judge_many(
        [(exchange.request.text, exchange.conversation.texts()) for exchange in asked]
    )
    for exchange, verdict in zip(asked, verdicts, strict=True):
        exchange.message_verdict = verdict
        if verdict.safe:
            exchange.conversation = exchange.conversation.add("person", exchange.request.text)
        else:
            exchange.answer(explain(verdict), "refused")
    return [exchange for exchange in exchanges if exchange.origin != "refused"]


def find_replies(
    exchanges: Sequence[Exchange],
    engine: Engine,
    config: SearchConfig,
    *,
    gender: str | None,
    rules: Sequence[Constraint],
) -> list[list[Generated]]:
    """Search for replies to all exchanges at once; each draws from its own seed alone.

    Returns:
        The candidates of each exchange, the likeliest first.
    """
    if not exchanges:
        return []
    style, device = engine.config.image_style, engine.device
    pictures = [exchange.conversation.picture for exchange in exchanges]
    seeds = [exchange.request.seed for exchange in exchanges]
    return generate(
        engine,
        [
            to_example(e.conversation, gender=gender, image_style=style, objects=e.objects)
            for e in exchanges
        ],
        [None if picture is None else picture.vectors for picture in pictures],
        config,
        rules=rules,
        generators=[torch.Generator(device).manual_seed(seed) for seed in seeds],
    )


def to_example(
    conversation: Conversation,
    *,
    gender: str | None,
    image_style: str | None,
    objects: tuple[str, ...] = (),
) -> Example:
    """Return a conversation as the model was trained to read it.

    Args:
        conversation: What is to be answered.
        gender: Control of the reply, or None.
        image_style: Style where there is a picture and the person names no style.
        objects: Names of what the picture shows.
    """
    style = conversation.style
    if style is None and conversation.picture is not None:
        style = image_style
    return Example(
        context=conversation.texts(),
        reply="",
        task="chat",
        conversation="",
        persona=conversation.persona,
        style=None if style == NO_STYLE else style,
        gender=gender,
        objects=objects,
    )


def take_replies(
    exchanges: Sequence[Exchange], candidates: Sequence[Sequence[Generated]], guard: Guard
) -> None:
    """Answer each exchange with its first candidate that is safe, or change the subject.

    All first candidates are judged together, then the second ones of the exchanges that need them,
    and so on.
    """
    waiting = list(zip(exchanges, candidates, strict=True))
    rank = 0
    while waiting:
        verdicts = guard.judge_many(
            [(replies[rank].text, exchange.conversation.texts()) for exchange, replies in waiting]
        )
        refused = []
        for (exchange, replies), verdict in zip(waiting, verdicts, strict=True):
            if rank == 0:
                exchange.reply_verdict = verdict
            if verdict.safe and replies[rank].text:
                origin: Origin = "next_best" if rank else "model"
                exchange.answer(replies[rank].text, origin, tokens=replies[rank].num_tokens)
            elif rank + 1 < len(replies):
                refused.append((exchange, replies))
            else:
                seed = exchange.request.seed + len(exchange.conversation.turns)
                exchange.answer(change_subject(seed), "changed_subject")
        waiting, rank = refused, rank + 1
