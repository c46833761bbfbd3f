"""DailyDialog yields every turn but the first, as prose."""

import json
from pathlib import Path

from openmmb.data.example import Example
from openmmb.tasks.dailydialog import DailyDialog
from tests.tasks.build import dailydialog, write, write_json


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


def test_the_published_form_reads_the_same(tmp_path: Path) -> None:
    dailydialog(tmp_path)
    path = tmp_path / "dailydialog" / "train.json"
    converted = list(DailyDialog(tmp_path).examples("train"))
    rows = [
        {
            "fold": "train",
            "topic": row["topic"],
            "dialogue": [{"text": t, "act": "inform", "emotion": "none"} for t in row["dialogue"]],
        }
        for row in json.loads(path.read_text(encoding="utf-8"))
    ]
    write(path, "".join(f"{json.dumps(row)}\n" for row in rows))
    assert list(DailyDialog(tmp_path).examples("train")) == converted
