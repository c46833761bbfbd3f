"""The dialogues that come with the package can be read whole or kind by kind."""

from pathlib import Path

import pytest

from openmmb.data.example import Example
from openmmb.errors import DataError
from openmmb.safety.guard import GuardConfig, open_guard
from openmmb.tasks import open_task
from openmmb.tasks.written import KINDS

ROOT = Path("not there")


def read(name: str) -> list[Example]:
    return list(open_task(name, ROOT).examples("train"))


def test_nothing_has_to_be_at_hand() -> None:
    everything = read("written")
    assert len({example.conversation for example in everything}) > 6_000
    assert {example.task for example in everything} == {"written"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_can_be_read_alone(kind: str) -> None:
    examples = read(f"written/{kind}")
    assert {example.task for example in examples} == {f"written/{kind}"}
    assert {example.conversation.partition(":")[0] for example in examples} == {kind}


def test_there_is_no_other_split() -> None:
    for split in ("valid", "test"):
        with pytest.raises(DataError, match=f"written: no split '{split}'; use 'train'"):
            open_task("written", ROOT).examples(split).__next__()


def test_a_persona_is_the_bots() -> None:
    examples = read("written/talk_persona")
    assert all(len(example.persona) >= 2 and len(example.context) % 2 for example in examples)


def test_what_comes_before_a_picture_is_not_about_it() -> None:
    examples = read("written/midway")
    assert {example.image_id is None for example in examples} == {True, False}


def test_captions_have_a_second_one_to_compare_with() -> None:
    examples = read("written/captions")
    assert len(examples) > 1_500
    assert all(example.references and not example.context for example in examples)


def test_replies_without_a_trait_hold_nothing_that_the_guard_lists() -> None:
    guard = open_guard(GuardConfig(classifier="none"))
    replies = [
        example.reply for kind in KINDS if kind != "styled" for example in read(f"written/{kind}")
    ]
    assert [text for text in replies[::5] if not guard.judge(text).safe] == []
