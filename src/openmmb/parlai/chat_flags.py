"""ParlAI's ``interactive`` and ``safe_interactive``, flag by flag, as a chat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openmmb.convert.options import BIAS_AGENTS, IMAGE_AGENTS, TEXT_AGENTS
from openmmb.errors import ConfigError, unknown
from openmmb.parlai.arguments import Given
from openmmb.parlai.flag_table import FLAGS
from openmmb.parlai.train_flags import DROPOUTS
from openmmb.parlai.zoo import find_model
from openmmb.text.gender import GENDER_TOKENS

PERSONA_TEACHERS = ("blended_skill_talk",)
"""Tasks whose interactive world draws a persona for the bot."""
USED = ("model", "model-file", "task", "safety", "bias-class", "datapath", "dict-tokenizer")
"""Flags that are not settings of their own and still count in a chat."""
PICTURE_NOTE = "pictures: ParlAI's chat takes none; /image PATH shows one here"


@dataclass(frozen=True)
class ChatCommand:
    """What a command asks for.

    Attributes:
        checkpoint: Its folder.
        named: The same as the command names it.
        gender: As for ``openmmb chat --gender``.
        guard: Whether both sides are judged.
        classifier: Whether a classifier judges them too, not lists of phrases alone.
        search: What of the checkpoint's search is overruled.
        shape: What must be true of the checkpoint, by dotted key.
        persona_root: Folder of the data sets from which a persona is drawn, None for no persona.
        notes: What of it is other than in ParlAI, and why.
    """

    checkpoint: str
    named: str
    gender: str
    guard: bool
    classifier: bool
    search: dict[str, Any]
    shape: Mapping[str, Any]
    persona_root: str | None
    notes: tuple[str, ...]


def read_chat(given: Given, *, safe: bool) -> ChatCommand:
    """Turn the flags of a chat into settings.

    Args:
        given: The flags.
        safe: Whether it is ParlAI's chat that judges both sides; ours does unless told not to.

    Raises:
        ConfigError: A flag is missing, or asks for what there is not.
    """
    named = given.need("model-file", "expected a checkpoint's folder")
    keys = given.settings()
    notes = [PICTURE_NOTE]
    judge = given.get("safety", "all")
    guard = judge != "none"
    if not safe and guard and "safety" not in given.values:
        notes.append("safety: ParlAI's interactive judges nothing; use --safety none for that")
    elif judge == "classifier":
        notes.append(
            "--safety classifier: the guard's lists of phrases judge as well, they are fast"
        )
    elif judge == "string_matcher":
        notes.append("safety: the guard's lists of phrases judge both sides, no classifier does")
    elif guard:
        notes.append("safety: the guard's lists of phrases and its classifier judge both sides")
    task = given.get("task", "interactive")
    if task not in (*PERSONA_TEACHERS, "interactive"):
        notes.append(f"--task {task}: a chat needs none; use blended_skill_talk to draw a persona")
    notes += _without_effect(given)
    return ChatCommand(
        checkpoint=find_model(named),
        named=named,
        gender=_gender(given),
        guard=guard,
        classifier=judge != "string_matcher",
        search={
            key.removeprefix("search."): value
            for key, value in keys.items()
            if key.startswith("search.")
        },
        shape={
            key: value
            for key, value in keys.items()
            if key.startswith(("model.", "encode.")) and key not in DROPOUTS
        },
        persona_root=given.get("datapath", "data") if task in PERSONA_TEACHERS else None,
        notes=(*notes, *given.notes()),
    )


def _gender(given: Given) -> str:
    """Return the control of every reply: ParlAI's agent decides, the checkpoint where none is."""
    agent = given.get("model")
    if agent is None:
        return "checkpoint"
    if agent in (*IMAGE_AGENTS, *TEXT_AGENTS):
        return "none"
    if agent not in BIAS_AGENTS:
        known = (BIAS_AGENTS[0], IMAGE_AGENTS[0], TEXT_AGENTS[0])
        raise ConfigError(f"--model: {unknown('agent', agent, known)}")
    control: str = given.get("bias-class", "f0m0")
    if control not in GENDER_TOKENS:
        raise ConfigError(f"--bias-class {control}: expected one of {', '.join(GENDER_TOKENS)}")
    return control


def _without_effect(given: Given) -> list[str]:
    """Say which flags are about training."""
    idle = [
        given.spelled[name]
        for name in given.values
        if not FLAGS[name].idle
        and FLAGS[name].allowed is None
        and name not in USED
        and not (
            FLAGS[name].key.startswith(("search.", "model.", "encode."))
            and FLAGS[name].key not in DROPOUTS
        )
    ]
    return [f"{', '.join(idle)}: of no effect in a chat"] if idle else []
