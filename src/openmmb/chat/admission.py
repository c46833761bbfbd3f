"""Words from outside that frame a conversation, judged before they do."""

from dataclasses import replace

from openmmb.chat.conversation import Conversation, Turn
from openmmb.chat.request import tidy_entry
from openmmb.errors import ConfigError
from openmmb.safety.answers import explain, reason
from openmmb.safety.guard import Guard
from openmmb.safety.verdict import Utterance, Verdict

BATCH = 64
"""Turns that are judged together."""
LINE = "{}"
"""A line of a persona is judged as it is."""
STYLE = "I am {}."
"""A style is judged as what it says of whoever has it: a trait is no sentence, and a classifier of
what is said knows nothing of a lone word ("Witty", "Shy")."""


def admit(text: str, guard: Guard, *, form: str) -> str:
    """Return a text on one line, if it may be said in the form ``form``.

    Raises:
        ConfigError: It is too long, or the guard refuses it; says why.
    """
    text = tidy_entry(text)
    verdict = guard.judge(form.format(text))
    if not verdict.safe:
        raise ConfigError(explain(verdict))
    return text


def admit_words(conversation: Conversation, guard: Guard) -> Conversation:
    """Return a conversation with each text on one line, if all of them may be said.

    Raises:
        ConfigError: A text is too long, or the guard refuses it; says which and why.
    """
    turns = tuple(
        Turn(turn.speaker, tidy_entry(turn.text, f"turns.{at}"))
        for at, turn in enumerate(conversation.turns)
    )
    persona = tuple(
        tidy_entry(line, f"persona.{at}") for at, line in enumerate(conversation.persona)
    )
    style = conversation.style
    if style is not None:
        style = tidy_entry(style, "style")
        _judge([("style", (STYLE.format(style), ()))], guard)
    picture = conversation.picture
    if picture is not None:
        picture = replace(picture, name=tidy_entry(picture.name, "picture.name"))
    _judge([(f"persona.{at}", (line, ())) for at, line in enumerate(persona)], guard)
    texts = tuple(turn.text for turn in turns)
    for start in range(0, len(texts), BATCH):
        rows = range(start, min(start + BATCH, len(texts)))
        _judge([(f"turns.{at}", (texts[at], texts[:at])) for at in rows], guard)
    return Conversation(turns=turns, persona=persona, style=style, picture=picture)


def _judge(named: list[tuple[str, Utterance]], guard: Guard) -> None:
    verdicts: list[Verdict] = guard.judge_many([utterance for _, utterance in named])
    for (key, _), verdict in zip(named, verdicts, strict=True):
        if not verdict.safe:
            raise ConfigError(f"{key}: may not be said: {reason(verdict)}")
