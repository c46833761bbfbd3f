"""Wizard of Wikipedia yields the wizard's turns behind the topic, as ParlAI does."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.data.example import Example
from openmmb.tasks.wizard_of_wikipedia import Turn, WizardOfWikipedia
from tests.tasks.build import wizard_of_wikipedia, write


def test_the_topic_comes_before_the_first_turn(tmp_path: Path) -> None:
    wizard_of_wikipedia(tmp_path)
    examples = list(WizardOfWikipedia(tmp_path).examples("train"))
    assert examples[0] == Example(
        context=("Kites",),
        reply="Turn 0.",
        task="wizard_of_wikipedia",
        conversation="train:0",
    )
    assert [(e.context, e.reply) for e in examples[1:]] == [
        (("Kites", "Turn 0.", "Turn 1."), "Turn 2."),
        (("Tea", "Turn 0."), "Turn 1."),
        (("Tea", "Turn 0.", "Turn 1.", "Turn 2."), "Turn 3."),
    ]


def test_both_sides_has_all_but_an_apprentices_opening(tmp_path: Path) -> None:
    wizard_of_wikipedia(tmp_path)
    examples = list(WizardOfWikipedia(tmp_path, both_sides=True).examples("train"))
    replies = [(e.context[0], int(e.reply[5])) for e in examples]
    assert replies == [("Kites", at) for at in range(5)] + [("Tea", at) for at in range(1, 4)]


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_topics_are_seen_unless_unseen_ones_are_asked_for(
    split: str, unseen: bool, tmp_path: Path
) -> None:
    for kind in ("random", "topic"):
        turns = [{"speaker": "0_Apprentice", "text": "Hi"}, {"speaker": "1_Wizard", "text": kind}]
        rows = [{"chosen_topic": "Tea", "dialog": turns}]
        write(tmp_path / "wizard_of_wikipedia" / f"{split}_{kind}_split.json", json.dumps(rows))
    task = WizardOfWikipedia(tmp_path, unseen=unseen)
    (example,) = task.examples(split)  # type: ignore[arg-type]  # one of the three
    assert example.reply == ("topic" if unseen else "random")
    assert example.task == "wizard_of_wikipedia" + "_unseen" * unseen


def parlai_replies(length: int, *, wizard_first: bool) -> list[int]:
    """What ParlAI's teacher takes, turn by turn."""
    count = (length - 1) // 2 if wizard_first else length // 2
    return [2 * entry if wizard_first else 2 * entry + 1 for entry in range(count)]


@given(st.integers(1, 12), st.booleans())
def test_the_wizards_last_turn_is_lost_where_parlai_loses_it(
    length: int, wizard_first: bool
) -> None:
    dialog = [
        Turn("0_Wizard" if (at % 2 == 0) == wizard_first else "1_Apprentice", "Hi")
        for at in range(length)
    ]
    replies = list(WizardOfWikipedia(Path())._replies(dialog))
    assert replies == parlai_replies(length, wizard_first=wizard_first)
    assert all("Wizard" in dialog[at].speaker for at in replies)


def test_a_conversation_without_turns_has_no_examples(tmp_path: Path) -> None:
    rows = [{"chosen_topic": "", "dialog": []}]
    write(tmp_path / "wizard_of_wikipedia" / "train.json", json.dumps(rows))
    assert list(WizardOfWikipedia(tmp_path).examples("train")) == []
