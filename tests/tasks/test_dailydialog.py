"""DailyDialog yields every turn but the first, as prose."""

from pathlib import Path

from openmmb.data.example import Example
from openmmb.tasks.dailydialog import DailyDialog
from tests.tasks.build import dailydialog, write_json


def test_turns_become_prose(tmp_path: Path) -> None:
    dailydialog(tmp_path)
    first, second, third = DailyDialog(tmp_path).examples("train")
    assert first == Example(
        ("Good morning, sir.",), "Morning! It's cold.", task="dailydialog", conversation="train:0"
    )
    assert second.context == ("Good morning, sir.", "Morning! It's cold.")
    assert second.reply == "I'm leaving."
    assert third.conversation == "train:1"


def test_val_is_another_name_of_valid(tmp_path: Path) -> None:
    write_json(tmp_path / "dailydialog" / "val.json", [{"dialogue": ["Hi .", "Ho ."]}])
    assert [example.reply for example in DailyDialog(tmp_path).examples("valid")] == ["Ho."]
