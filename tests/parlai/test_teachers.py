"""ParlAI's teachers are the tasks that have their examples; others are refused with a reason."""

import pytest

from openmmb.errors import ConfigError
from openmmb.parlai.teachers import (
    COCO_NOTE,
    TEACHERS,
    WITH_REST,
    WRAPPER_NOTE,
    read_task,
)
from openmmb.tasks import TASKS
from tests.parlai.card import TEACHERS as CARD

WRAPPER = "genderation_bias:controllable_task"


def test_each_teacher_is_a_task() -> None:
    assert {*TEACHERS.values(), WITH_REST} <= set(TASKS)


def test_the_cards_teachers_are_its_data_sets() -> None:
    plain = read_task(",".join(CARD), rest=False)
    wrapped = read_task(",".join(f"{WRAPPER}:{teacher}" for teacher in CARD), rest=False)
    names = ("blended_skill_talk", "convai2", "empathetic_dialogues", "wizard_of_wikipedia")
    assert plain.tasks == wrapped.tasks == (*names, "image_chat")
    assert (plain.controlled, wrapped.controlled) == (False, True)
    assert (plain.notes, wrapped.notes) == ((), (WRAPPER_NOTE,))


@pytest.mark.parametrize(
    ("teacher", "rest", "task", "notes"),
    [
        ("coco_caption", True, "coco_captions", (COCO_NOTE,)),
        ("coco_caption", False, "coco_captions_2017", ()),
        ("coco_caption:V2014", True, "coco_captions", ()),
        ("coco_caption:V2014", False, "coco_captions_2014", ()),
        ("coco_caption:V2017", True, "coco_captions_2017", ()),
    ],
)
def test_captions_are_those_that_are_meant(
    teacher: str, rest: bool, task: str, notes: tuple[str, ...]
) -> None:
    read = read_task(teacher, rest=rest)
    assert (read.tasks, read.notes) == ((task,), notes)


def test_a_wrapper_may_be_spelled_as_its_class() -> None:
    assert read_task("genderation_bias:ControllableTask:convai2:normalized", rest=False).controlled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("convai", "no teacher 'convai'; did you mean"),
        ("squad", "no teacher 'squad'; expected one of blended_skill_talk, "),
        ("convai2", "convai2: its examples are spelled otherwise; use convai2:normalized"),
        ("image_chat", "image_chat: it is for models that choose"),
        ("wizard_of_wikipedia:Generator", "it puts knowledge into contexts"),
        (f"{WRAPPER}:blended_skill_talk,convai2:normalized", "convai2:normalized is not in "),
        ("", "no teacher ''"),
    ],
)
def test_other_teachers_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"--task: .*{message}"):
        read_task(text, rest=False)
