"""Messages and the replies to them, many at once: what the guard says, and which reply is taken."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import torch

from openmmb.chat.admission import Admission
from openmmb.chat.conversation import NO_STYLE, Conversation
from openmmb.chat.request import Reply, Request, find_gender
from openmmb.chat.strict import require_kind
from openmmb.chat.viewer import Viewer
from openmmb.data.encode import encode_prompt
from openmmb.data.example import Example
from openmmb.engine.generate import Generated, generate
from openmmb.engine.open import Engine
from openmmb.safety.answers import Origin, change_subject, explain
from openmmb.safety.guard import Guard
from openmmb.safety.verdict import Verdict
from openmmb.search.config import SearchConfig
from openmmb.search.constraints import Constraint

SHORT = "a"
"""A message that no model cuts."""


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
        others: Further replies that may be said.
        context_tokens: Length of what the model read.
        finished: False where the reply was cut at the longest length.
    """

    request: Request
    conversation: Conversation
    objects: tuple[str, ...] = ()
    text: str = ""
    tokens: int = 0
    origin: Origin = "model"
    message_verdict: Verdict | None = None
    reply_verdict: Verdict | None = None
    others: tuple[Generated, ...] = ()
    context_tokens: int = 0
    finished: bool = True

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
            others=self.others,
            context_tokens=self.context_tokens,
            finished=self.finished,
        )


def begin(request: Request, viewer: Viewer) -> Exchange:
    """Begin the exchange: with the request's picture, or else the conversation's.

    Raises:
        ImageError: The picture cannot be read, or the model cannot see it.
        CheckpointError: The picture encoder or its weights do not fit the model.
        ConfigError: The request is none, or the picture encoder lacks its weights.
    """
    require_kind("requests", request, Request, "Request(text, image, conversation, seed)")
    conversation = request.conversation
    if request.image is not None:
        conversation = replace(conversation, picture=viewer.look(request.image))
    picture = conversation.picture
    if picture is None:
        return Exchange(request, conversation)
    viewer.check(picture)
    return Exchange(request, conversation, viewer.name_objects(picture))


def weigh(requests: Sequence[Request], config: SearchConfig) -> tuple[Hashable, int]:
    """Return what requests must share to be answered by one search, and the rows that they take.

    Args:
        requests: What is asked.
        config: How to search where a request does not say.
    """
    searches = [request.search or config for request in requests]
    kinds = set(searches)
    return kinds.pop() if len(kinds) == 1 else object(), sum(one.num_beams for one in searches)


def take_conversations(
    exchanges: Sequence[Exchange], admission: Admission, guard: Guard
) -> list[Exchange]:
    """Judge what is not known of all conversations; refuse those with what may not be said.

    Returns:
        Those that may go on.
    """
    refusals = admission.judge_all([exchange.conversation for exchange in exchanges], guard)
    for exchange, refused in zip(exchanges, refusals, strict=True):
        if refused:
            exchange.message_verdict = refused[0].verdict
            exchange.answer(refused[0].explain(), "refused")
    return [exchange for exchange in exchanges if exchange.origin != "refused"]


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
    """Search for replies to all exchanges, at once where they want the same search.

    Each draws from its own seed alone.

    Args:
        exchanges: What is to be answered.
        engine: What answers.
        config: How to search where a request does not say.
        gender: Control of the replies where a request does not say.
        rules: What no reply may have.

    Returns:
        The candidates of each exchange, the likeliest first.
    """
    groups: dict[SearchConfig, list[int]] = {}
    for row, exchange in enumerate(exchanges):
        groups.setdefault(exchange.request.search or config, []).append(row)
    candidates: list[list[Generated]] = [[] for _ in exchanges]
    for search, rows in groups.items():
        replies = _search(
            [exchanges[row] for row in rows], engine, search, gender=gender, rules=rules
        )
        for row, of_row in zip(rows, replies, strict=True):
            candidates[row] = of_row
    return candidates


def _search(
    exchanges: Sequence[Exchange],
    engine: Engine,
    config: SearchConfig,
    *,
    gender: str | None,
    rules: Sequence[Constraint],
) -> list[list[Generated]]:
    style, device = engine.config.image_style, engine.device
    examples = []
    for exchange in exchanges:
        asked = exchange.request.gender
        example = to_example(
            exchange.conversation,
            gender=gender if asked is None else find_gender(asked),
            image_style=style,
            objects=exchange.objects,
        )
        prompt = encode_prompt(example, engine.tokenizer, engine.config.encode)
        exchange.context_tokens = len(prompt.context)
        examples.append(example)
    pictures = [exchange.conversation.picture for exchange in exchanges]
    seeds = [exchange.request.seed for exchange in exchanges]
    return generate(
        engine,
        examples,
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


def count_read(
    text: str, conversation: Conversation, engine: Engine, *, gender: str | None
) -> tuple[int, int]:
    """Count the tokens of a message that the model reads, and all of them.

    Args:
        text: The message.
        conversation: What frames it.
        engine: The model.
        gender: Control of the reply.
    """

    def length(message: str) -> int:
        said_alone = replace(conversation, turns=()).add("person", message)
        example = to_example(said_alone, gender=gender, image_style=engine.config.image_style)
        return len(encode_prompt(example, engine.tokenizer, engine.config.encode).context)

    total = len(engine.tokenizer.encode(text))
    frame = length(SHORT) - len(engine.tokenizer.encode(SHORT))
    return min(total, length(text) - frame), total


def take_replies(
    exchanges: Sequence[Exchange], candidates: Sequence[Sequence[Generated]], guard: Guard
) -> None:
    """Answer each exchange with its first candidate that is safe, or change the subject.

    All first candidates are judged together, then the second ones of the exchanges that need them,
    and so on. Where several replies are wanted, the safe ones after the first are its others.
    """
    taken: list[list[tuple[int, Generated]]] = [[] for _ in exchanges]  # with their ranks
    waiting, rank = [row for row, replies in enumerate(candidates) if replies], 0
    while waiting:
        verdicts = guard.judge_many(
            [(candidates[row][rank].text, exchanges[row].conversation.texts()) for row in waiting],
            side="bot",
        )
        for row, verdict in zip(waiting, verdicts, strict=True):
            if rank == 0:
                exchanges[row].reply_verdict = verdict
            reply = candidates[row][rank]
            known = {other.text for _, other in taken[row]}
            if verdict.safe and reply.text and reply.text not in known:
                taken[row].append((rank, reply))
        rank += 1
        waiting = [
            row
            for row in waiting
            if len(taken[row]) < exchanges[row].request.num_replies and rank < len(candidates[row])
        ]
    for exchange, replies in zip(exchanges, taken, strict=True):
        _answer(exchange, replies)


def _answer(exchange: Exchange, taken: Sequence[tuple[int, Generated]]) -> None:
    """Answer with the first of the replies that may be said, each with its rank."""
    if not taken:
        seed = exchange.request.seed + len(exchange.conversation.turns)
        exchange.answer(change_subject(seed, exchange.reply_verdict), "changed_subject")
        return
    (rank, reply), *others = taken
    exchange.answer(reply.text, "next_best" if rank else "model", tokens=reply.num_tokens)
    exchange.finished = reply.finished
    exchange.others = tuple(other for _, other in others)
