"""Words from outside that frame a conversation, judged before they do.

A conversation is a value that anybody can make: a file, a request, a program. What a bot said or
judged itself it remembers, so that it is judged once; all else is judged where it comes in.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, get_args

from openmmb.chat.conversation import Conversation, Turn
from openmmb.chat.request import tidy_entry
from openmmb.errors import ConfigError
from openmmb.safety.answers import OWN_LINES, explain, reason
from openmmb.safety.guard import Guard
from openmmb.safety.verdict import Side, Utterance, Verdict

BATCH: Final = 64
"""Texts that are judged together."""
CAPACITY: Final = 2**16
"""Judged texts that are remembered, 16 bytes each."""
LINE: Final = "{}"
"""A line of a persona is judged as it is."""
STYLE: Final = "I am {}."
"""A style is judged as what it says of whoever has it: a trait is no sentence, and a classifier of
what is said knows nothing of a lone word ("Witty", "Shy")."""
OPENING: Final = "opening"
"""Kind of a text that the bot began a conversation with: it may stand in another, as what it says
of a picture does, whatever was said before."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A text of a conversation that may not be said.

    Attributes:
        key: Which one: ``turns.3``, ``persona.0`` or ``style``.
        verdict: Why.
    """

    key: str
    verdict: Verdict

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.key}: may not be said: {reason(self.verdict)}"

    def explain(self) -> str:
        """Answer the person whose conversation it is, in plain words."""
        if self.verdict.category == "self_harm":
            return explain(self.verdict)
        return (
            f"I would rather not go on with this conversation: {reason(self.verdict)} ({self.key})."
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A text of a conversation, and how it is judged.

    Attributes:
        key: Which one it is.
        utterance: The text in its context.
        digests: What it is remembered by, and what else it may be known by.
        side: Who says it.
    """

    key: str
    utterance: Utterance
    digests: tuple[bytes, ...]
    side: Side


class Admission:
    """Judges conversations, and remembers what was judged safe; threads may share one.

    Args:
        capacity: How many texts are remembered.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._guard: Guard | None = None
        self._lock = threading.Lock()

    def admit(
        self, conversation: Conversation, guard: Guard, *, leave_out_refused: bool
    ) -> Conversation:
        """Return a conversation with each text on one line, if it may be said.

        Raises:
            ConfigError: A text is too long, or the guard refuses it; says which and why.
        """
        conversation = tidy_words(conversation)
        while refusals := self.judge_all([conversation], guard)[0]:
            if not leave_out_refused:
                raise ConfigError(str(refusals[0]))
            conversation = leave_out(conversation, refusals)
        return conversation

    def remember(self, conversations: Sequence[Conversation], guard: Guard) -> None:
        """Take all texts of conversations as judged: the bot has just said or heard the last."""
        if guard.checks:
            entries = [entry for one in conversations for entry in list_entries(one)]
            opened = [one.turns[0] for one in conversations if len(one.turns) == 1]
            openings = [_digest(OPENING, turn.text) for turn in opened if turn.speaker == "bot"]
            self._remember([*(entry.digests[0] for entry in entries), *openings], guard)

    def judge_all(
        self, conversations: Sequence[Conversation], guard: Guard
    ) -> list[tuple[Refusal, ...]]:
        """Judge what is not known of conversations, together.

        Returns:
            What is refused in each.
        """
        if not guard.checks:
            return [()] * len(conversations)
        listed = [list(list_entries(conversation)) for conversation in conversations]
        unknown = list(dict.fromkeys(e.digests for es in listed for e in self._unknown(es, guard)))
        entries = {entry.digests: entry for es in listed for entry in es}
        verdicts = dict[tuple[bytes, ...], Verdict]()
        for side in get_args(Side):
            of_side = [digests for digests in unknown if entries[digests].side == side]
            for start in range(0, len(of_side), BATCH):
                rows = of_side[start : start + BATCH]
                texts = [entries[digests].utterance for digests in rows]
                verdicts.update(zip(rows, guard.judge_many(texts, side=side), strict=True))
        self._remember([d[0] for d, verdict in verdicts.items() if verdict.safe], guard)
        return [
            tuple(
                Refusal(entry.key, verdicts[entry.digests])
                for entry in es
                if entry.digests in verdicts and not verdicts[entry.digests].safe
            )
            for es in listed
        ]

    def _unknown(self, entries: list[Entry], guard: Guard) -> list[Entry]:
        with self._lock:
            known = self._known if self._guard is guard else {}
            return [e for e in entries if not any(digest in known for digest in e.digests)]

    def _remember(self, digests: list[bytes], guard: Guard) -> None:
        with self._lock:
            if self._guard is not guard:
                self._known.clear()
                self._guard = guard
            for digest in digests:
                self._known[digest] = None
                self._known.move_to_end(digest)
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)


def list_entries(conversation: Conversation) -> Iterator[Entry]:
    """Yield what has to be judged in a conversation, each as it was said.

    A turn is judged after those before it. What the bot says first about a new picture it says
    whatever was said before, so it is judged alone.
    """
    if conversation.style is not None:
        text = STYLE.format(conversation.style)
        yield Entry("style", (text, ()), (_digest("style", text),), "frame")
    for at, line in enumerate(conversation.persona):
        yield Entry(f"persona.{at}", (line, ()), (_digest("persona", line),), "frame")
    texts, before, shown = conversation.texts(), b"", None
    for at, turn in enumerate(conversation.turns):
        after = _digest(turn.speaker, turn.text, before)
        if turn.speaker == "person":
            yield Entry(f"turns.{at}", (turn.text, texts[:at]), (after,), "person")
        elif turn.text in OWN_LINES:
            pass  # chosen as safe
        elif turn.shown != shown and turn.shown is not None:
            yield Entry(f"turns.{at}", (turn.text, ()), (_digest("bot", turn.text),), "bot")
        else:
            opening = _digest(OPENING, turn.text)
            yield Entry(f"turns.{at}", (turn.text, texts[:at]), (after, opening), "bot")
        before, shown = _digest("", turn.text, before), turn.shown


def admit(text: str, guard: Guard, *, form: str) -> str:
    """Return a text on one line, if it may be said in the form ``form``.

    Raises:
        ConfigError: It is too long, or the guard refuses it; says why.
    """
    text = tidy_entry(text)
    verdict = guard.judge(form.format(text), side="frame")
    if not verdict.safe:
        raise ConfigError(explain(verdict))
    return text


def tidy_words(conversation: Conversation) -> Conversation:
    """Return a conversation with each text on one line, without anything invisible.

    Raises:
        ConfigError: A text is too long; says which.
    """
    turns = []
    for at, turn in enumerate(conversation.turns):
        shown = turn.shown
        if shown is not None:
            shown = replace(shown, name=tidy_entry(shown.name, f"turns.{at}.shown.name"))
        turns.append(Turn(turn.speaker, tidy_entry(turn.text, f"turns.{at}"), shown))
    lines = conversation.persona
    style, picture = conversation.style, conversation.picture
    if picture is not None:
        picture = replace(picture, name=tidy_entry(picture.name, "picture.name"))
    return Conversation(
        turns=tuple(turns),
        persona=tuple(tidy_entry(line, f"persona.{at}") for at, line in enumerate(lines)),
        style=None if style is None else tidy_entry(style, "style"),
        picture=picture,
    )


def leave_out(conversation: Conversation, refusals: Sequence[Refusal]) -> Conversation:
    """Return a conversation without turns that are refused, and without the answers to them.

    Raises:
        ConfigError: Something else than a turn is refused: who the bot is to be.
    """
    for refusal in refusals:
        if not refusal.key.startswith("turns."):
            raise ConfigError(str(refusal))
    dropped = {int(refusal.key.removeprefix("turns.")) for refusal in refusals}
    kept = list[Turn]()
    unheard = False
    for at, turn in enumerate(conversation.turns):
        unheard = at in dropped if turn.speaker == "person" else unheard or at in dropped
        if not unheard:
            kept.append(turn)
        elif turn.speaker == "bot":
            unheard = False
    return replace(conversation, turns=tuple(kept))


def _digest(kind: str, text: str, before: bytes = b"") -> bytes:
    content = f"{kind}\0{text}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(before + b"\0" + content, digest_size=16).digest()
