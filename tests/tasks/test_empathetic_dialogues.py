"""EmpatheticDialogues trains on both sides and evaluates the listener, as ParlAI does."""

from pathlib import Path

import pytest

from openmmb.data.example import Example
from openmmb.errors import DataError
from openmmb.tasks.empathetic_dialogues import EmpatheticDialogues
from tests.tasks.build import EMPATHETIC_DIALOGUES, empathetic_dialogues, write


def test_training_learns_both_sides(tmp_path: Path) -> None:
    empathetic_dialogues(tmp_path)
    examples = list(EmpatheticDialogues(tmp_path).examples("train"))
    assert examples[0] == Example(
        context=("My cake rose, at last.",),
        reply='"How did you do it?',
        task="empathetic_dialogues",
        conversation="hit:0_conv:1",
    )
    assert [example.reply for example in examples[1:]] == [
        "More eggs.",
        "Save me a slice!",
        "Where is everyone?",
    ]
    assert [len(example.context) for example in examples] == [1, 2, 3, 1]


@pytest.mark.parametrize(("both_sides", "count"), [(False, 3), (True, 4)])
def test_evaluation_is_the_listeners_unless_asked(
    tmp_path: Path, both_sides: bool, count: int
) -> None:
    write(tmp_path / "empathetic_dialogues" / "valid.csv", EMPATHETIC_DIALOGUES)
    task = EmpatheticDialogues(tmp_path, both_sides=both_sides)
    assert len(list(task.examples("valid"))) == count


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("conv_id,", "id,", r"train.csv: line 1: 'id,.*expected it to begin 'conv_id,"),
        ("_comma_", ",", r"train.csv: line 2: 'hit:0.*expected 8 or 9 fields"),
        (":1,2,", ":1,two,", r"train.csv: line 3: 'hit:0.*the second a number"),
        (":1,3,", ":1,7,", r"'hit:0_conv:1': utterances numbered \[1, 2, 7, 4\]; expected 1 to 4"),
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    broken = EMPATHETIC_DIALOGUES.replace(old, new)
    write(tmp_path / "empathetic_dialogues" / "train.csv", broken)
    with pytest.raises(DataError, match=message):
        list(EmpatheticDialogues(tmp_path).examples("train"))
