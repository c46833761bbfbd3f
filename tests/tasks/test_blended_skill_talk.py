"""Blended Skill Talk yields the guided worker's turns, in either form of the file."""

from pathlib import Path

import pytest

from openmmb.data.example import Example
from openmmb.errors import DataError
from openmmb.tasks.blended_skill_talk import BlendedSkillTalk
from tests.tasks.build import blended_skill_talk, write_json

OPENING = ("I saw a lighthouse.", "Was it tall?", "Very tall.")
GUIDED = ("i paint.", "i have a dog.")


def test_the_topic_opens_what_came_from_wizard_of_wikipedia(tmp_path: Path) -> None:
    blended_skill_talk(tmp_path)
    examples = list(BlendedSkillTalk(tmp_path).examples("train"))
    assert examples[0] == Example(
        context=("Lighthouse", *OPENING),
        reply="I would paint it.",
        task="blended_skill_talk",
        conversation="train:0",
        persona=GUIDED,
    )
    assert examples[1].context == ("Lighthouse", *OPENING, "I would paint it.", "Do.")
    assert examples[2].context == OPENING
    assert [example.reply for example in examples] == ["I would paint it.", "I will."] * 2


def test_both_sides_have_their_own_personas(tmp_path: Path) -> None:
    blended_skill_talk(tmp_path)
    examples = list(BlendedSkillTalk(tmp_path, both_sides=True).examples("train"))
    assert [(example.reply, example.persona) for example in examples[:3]] == [
        ("Was it tall?", GUIDED),
        ("Very tall.", ("i fish.", "i nap.")),
        ("I would paint it.", GUIDED),
    ]


def test_the_converted_form_reads_the_same_but_for_the_topic(tmp_path: Path) -> None:
    blended_skill_talk(tmp_path)
    row = {
        "dialogue": [*OPENING, "I would paint it.", "Do.", "I will."],
        "speaker persona": ["i fish.", "i nap."],
        "listener persona": list(GUIDED),
    }
    write_json(tmp_path / "blended_skill_talk" / "val.json", [row])
    converted = list(BlendedSkillTalk(tmp_path).examples("valid"))
    original = list(BlendedSkillTalk(tmp_path).examples("train"))[2:]
    assert [(e.context, e.reply, e.persona) for e in converted] == [
        (e.context, e.reply, e.persona) for e in original
    ]


def test_a_wrong_record_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "blended_skill_talk" / "test.json", [{"dialog": []}])
    with pytest.raises(DataError, match=r"test.json: 0\.original\.personas: .*required"):
        list(BlendedSkillTalk(tmp_path).examples("test"))
