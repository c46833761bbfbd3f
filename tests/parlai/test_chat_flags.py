"""ParlAI's chats are chats here, guarded unless told not to be."""

import pytest

from openmmb.convert.options import BIAS_AGENTS
from openmmb.errors import ConfigError
from openmmb.parlai.arguments import read_flags
from openmmb.parlai.chat_flags import ChatCommand, read_chat
from tests.parlai import card

CARD = card.chat(model="runs/degenpos")[2:]


def command(*words: str, safe: bool = True) -> ChatCommand:
    return read_chat(read_flags(words), safe=safe)


def test_the_cards_chat_is_guarded_controlled_and_searches_as_published() -> None:
    made = command(*CARD)
    assert (made.checkpoint, made.gender, made.guard) == ("runs/degenpos/checkpoint", "f0m0", True)
    assert made.persona_root == "data"
    assert made.shape == {"encode.delimiter": "\n"}
    assert made.search == {
        "block_ngram": 3,
        "block_context_ngram": 3,
        "min_length": 20,
        "beam_size": 10,
        "method": "beam",
    }
    assert "pictures: ParlAI's chat takes none; /image PATH shows one here" in made.notes
    assert "--model-parallel: of no effect in a chat" in made.notes


@pytest.mark.parametrize(
    ("flags", "gender"),
    [
        ((), "checkpoint"),
        (("-m", "image_seq2seq"), "none"),
        (("-m", "transformer/generator"), "none"),
        (("-m", "projects.multimodal_blenderbot.agents:BiasAgent"), "f0m0"),
        (
            ("-m", "projects.multimodal_blenderbot.agents:BiasAgent", "--bias-class", "f1m0"),
            "f1m0",
        ),
    ],
)
def test_the_agent_decides_the_control(flags: tuple[str, ...], gender: str) -> None:
    assert command("-mf", "run", *flags).gender == gender


def test_only_safety_none_takes_the_guard_away() -> None:
    assert command("-mf", "run", safe=False).guard
    assert any("--safety none" in note for note in command("-mf", "run", safe=False).notes)
    lists, both = (
        command("-mf", "run", "--safety", name) for name in ("string_matcher", "classifier")
    )
    assert (lists.guard, lists.classifier) == (True, False)
    assert (both.guard, both.classifier) == (True, True)
    assert any("no classifier does" in note for note in lists.notes)
    assert any("--safety classifier: the guard's lists" in note for note in both.notes)
    assert not command("-mf", "run", "--safety", "none").guard


def test_a_task_that_has_no_persona_is_not_needed() -> None:
    assert command("-mf", "run").persona_root is None
    made = command("-mf", "run", "-t", "image_chat")
    assert made.persona_root is None
    assert any("--task image_chat: a chat needs none" in note for note in made.notes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--model-file: missing"),
        (
            ("-mf", "run", "-m", "bart"),
            "--model: no agent 'bart'; expected one of image_seq2seq, proj",
        ),
        (("-mf", "zoo:bart/bart_large/model"), "no convertible model"),
        (
            ("-mf", "run", "-m", BIAS_AGENTS[0], "--bias-class", "f2"),
            "--bias-class f2: expected one of f0m0, f0m1",
        ),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        command(*words)
