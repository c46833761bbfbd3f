"""The replies to a request as its client is told of them: cut where they are to stop."""

from collections.abc import Sequence
from dataclasses import dataclass

from openmmb.chat.request import Reply
from openmmb.safety.guard import Guard


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the replies to a request.

    Attributes:
        text: What is said.
        finish_reason: ``stop``, ``length``, or ``content_filter`` where the guard has refused.
        refusal: Why the person's message is not answered.
        tokens: Length of the reply.
    """

    text: str
    finish_reason: str
    refusal: str | None = None
    tokens: int = 0


def choices_of(reply: Reply, stop: str | Sequence[str] | None, guard: Guard) -> tuple[Choice, ...]:
    """Return the replies to a request as its client is told of them.

    Args:
        reply: What the bot answered.
        stop: Where replies are to stop.
        guard: Judges what is left of a reply that was stopped.
    """
    if reply.origin == "refused":
        return (Choice(reply.text, "content_filter", refusal=reply.text),)
    if reply.origin == "changed_subject":
        return (Choice(reply.text, "content_filter"),)
    stops = [stop] if isinstance(stop, str) else list(stop or [])
    texts = [
        (reply.text, reply.tokens, reply.finished),
        *((other.text, other.num_tokens, other.finished) for other in reply.others),
    ]
    context = reply.conversation.texts()[:-1]
    cut = [_cut(text, stops) for text, _, _ in texts]
    verdicts = guard.judge_many([(kept, context) for kept in cut], side="bot") if any(stops) else []
    choices = []
    for row, (text, tokens, finished) in enumerate(texts):
        if cut[row] == text:
            finish_reason = "stop" if finished else "length"
            choices.append(Choice(text, finish_reason, tokens=tokens))
        elif verdicts[row].safe:
            choices.append(Choice(cut[row], "stop", tokens=tokens))
        else:
            choices.append(Choice("", "content_filter", tokens=tokens))
    return tuple(choices)


def _cut(text: str, stops: Sequence[str]) -> str:
    """Return a text up to where it is to stop."""
    ends = [text.index(stop) for stop in stops if stop and stop in text]
    return text[: min(ends)].rstrip() if ends else text
