"""One example as the network will see it, for people to read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from openmmb.data.encode import EncodeConfig, encode_context, encode_reply
from openmmb.data.example import Example
from openmmb.text.tokenizer import Tokenizer

_WHOLE = 10**6  # tokens; longer than any context that is cut
NEWLINE, CUT = "\u23ce", "\u2026"
"""How a line break, and what was left out, are shown."""


@dataclass(frozen=True)
class Preview:
    """The tokens of an example as text, special tokens as ``<name>``, line breaks as ``⏎``.

    Attributes:
        pinned: Style and persona, which no long conversation pushes out; empty in ParlAI's
            layouts, where they are ordinary text at the beginning of ``turns``. Ends with ``…``
            where it was cut.
        turns: What was said; begins with ``…`` where the oldest part was left out.
        control: The gender control and the end token.
        reply: What is learnt; ends with ``…`` where it was cut.
        context_tokens: How many tokens there are before the reply.
        context_cut: How many were left out.
        reply_tokens: How many tokens are learnt.
        reply_cut: How many were left out.
    """

    pinned: str
    turns: str
    control: str
    reply: str
    context_tokens: int
    context_cut: int
    reply_tokens: int
    reply_cut: int

    def lines(self, config: EncodeConfig) -> list[str]:
        """Write it down below each other, with how many of ``config``'s tokens it takes."""
        texts = {
            "pinned": self.pinned,
            "turns": self.turns,
            "then": self.control,
            "reply": self.reply,
        }
        counts = (
            f"context {self.context_tokens} of {config.max_context}{_cut(self.context_cut)}, "
            f"reply {self.reply_tokens} of {config.max_reply}{_cut(self.reply_cut)}"
        )
        return [f"{name:8} {text}" for name, text in {**texts, "tokens": counts}.items() if text]


def preview(example: Example, tokenizer: Tokenizer, config: EncodeConfig) -> Preview:
    """Encode an example, which has its controls, and write its tokens down again."""
    whole = replace(config, max_context=_WHOLE, max_pinned=_WHOLE // 2, max_reply=_WHOLE)
    ids = encode_context(example, tokenizer, config)
    cut = len(encode_context(example, tokenizer, whole)) - len(ids)
    pinned = _pinned_length(example, tokenizer, config)
    pinned_cut = _pinned_length(example, tokenizer, whole) - pinned
    after = _control_length(example, tokenizer, config)
    turns_to_learn = (example.reply, *example.following)
    reply = encode_reply(turns_to_learn, tokenizer, config)
    reply_cut = len(encode_reply(turns_to_learn, tokenizer, whole)) - len(reply)
    turns = write(ids[pinned : len(ids) - after], tokenizer)
    return Preview(
        pinned=write(ids[:pinned], tokenizer) + (f" {CUT}" if pinned_cut else ""),
        turns=f"{CUT} {turns}" if cut > pinned_cut else turns,
        control=write(ids[len(ids) - after :], tokenizer),
        reply=write(reply, tokenizer) + (f" {CUT}" if reply_cut else ""),
        context_tokens=len(ids),
        context_cut=cut,
        reply_tokens=len(reply),
        reply_cut=reply_cut,
    )


def write(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    """Write tokens as text on one line, with the names of special tokens."""
    names = {tokenizer.special_id(name): f"<{name}>" for name in tokenizer.special_names}
    text, run = "", list[int]()
    for token in (*ids, None):
        if token is not None and token not in names:
            run.append(token)
            continue
        text += tokenizer.decode(run)
        run = []
        text += "" if token is None else names[token]
    return text.replace("\n", NEWLINE)


def _cut(tokens: int) -> str:
    return f" ({tokens} left out)" if tokens else ""


def _pinned_length(example: Example, tokenizer: Tokenizer, config: EncodeConfig) -> int:
    """Return how many tokens style and persona take."""
    if config.layout != "openmmb":
        return 0
    alone = replace(example, context=(), gender=None)
    return len(encode_context(alone, tokenizer, config)) - 1  # without the end token


def _control_length(example: Example, tokenizer: Tokenizer, config: EncodeConfig) -> int:
    """Return how many tokens stand behind the turns."""
    control = [] if example.gender is None else tokenizer.control_ids(example.gender)
    return len(control) + int(config.end_context)
