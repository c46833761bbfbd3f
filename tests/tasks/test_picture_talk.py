"""The dialogues that come with the package are whole, about pictures, marked as what they are."""

from collections import Counter
from pathlib import Path

import pytest

from openmmb.data.example import Example
from openmmb.errors import DataError
from openmmb.safety.guard import GuardConfig, open_guard
from openmmb.tasks import open_task


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return list(open_task("picture_talk", Path("not there")).examples("train"))


def test_nothing_has_to_be_at_hand(examples: list[Example]) -> None:
    assert len({example.conversation for example in examples}) > 2_000
    assert {example.task for example in examples} == {"picture_talk"}


def test_there_is_no_other_split() -> None:
    task = open_task("picture_talk", Path("not there"))
    for split in ("valid", "test"):
        with pytest.raises(DataError, match=f"picture_talk: no split '{split}'; .* 'train'"):
            task.examples(split)


def test_what_is_said_before_a_picture_is_shown_is_not_about_it(examples: list[Example]) -> None:
    asked = [example for example in examples if example.style is None]
    assert {example.image_id is None for example in asked} == {True, False}
    styled = [example for example in examples if example.style is not None]
    assert all(example.image_id is not None for example in styled)


def test_no_text_holds_more_than_words(examples: list[Example]) -> None:
    texts = [example.reply for example in examples]
    assert all(text.isascii() and "[" not in text and "##" not in text for text in texts)
    assert max(Counter(texts).values()) < 10


def test_friendly_replies_hold_nothing_that_the_guard_lists(examples: list[Example]) -> None:
    guard = open_guard(GuardConfig(classifier="none"))
    friendly = [example.reply for example in examples if example.style is None]
    assert len(friendly) > 2_000
    assert [text for text in friendly[::4] if not guard.judge(text).safe] == []
