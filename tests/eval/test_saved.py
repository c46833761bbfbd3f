"""Saved replies are found again where the same was asked of the same model, and nowhere else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.checkpoint import save_checkpoint
from openmmb.errors import DataError
from openmmb.eval.saved import SavedReplies, fingerprint
from openmmb.search.config import SearchConfig
from tests.build import tiny_checkpoint, tiny_example


def test_what_was_added_is_found_by_a_later_run(tmp_path: Path) -> None:
    path, asked = tmp_path / "replies.jsonl", tiny_example(style="Sweet")
    saved = SavedReplies(path, "m")
    assert saved.find("f0m0", asked) is None
    saved.add("f0m0", asked, {"reply": "Ahoy “you” 👍.", "f1": 0.5})
    saved.add("f0m0", asked, {"reply": "again", "f1": 0.5})
    for one in (saved, SavedReplies(path, "m")):
        assert len(one) == 1
        assert one.find("f0m0", asked) == "Ahoy “you” 👍."
        assert one.find("other", asked) is None
        for other in (
            replace(asked, context=("Hi.",)),
            replace(asked, style=None),
            replace(asked, gender="f0m0"),
            replace(asked, persona=("I sail.",)),
            replace(asked, image_id="p"),
            replace(asked, task="another"),
        ):
            assert one.find("f0m0", other) is None
        assert one.find("f0m0", replace(asked, reply="Other words.")) is not None


def test_a_line_is_for_people_too(tmp_path: Path) -> None:
    path, asked = tmp_path / "replies.jsonl", tiny_example(references=("Another.",))
    SavedReplies(path, "m").add("f0m0", asked, {"reply": "Ahoy.", "f1": 0.5})
    head, row = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert head == {"model": "m"}
    assert row == {
        "task": "tiny",
        "setting": "f0m0",
        "context": list(asked.context),
        "persona": [],
        "style": None,
        "gender": None,
        "image_id": None,
        "people": [asked.reply, "Another."],
        "reply": "Ahoy.",
        "f1": 0.5,
    }


def test_what_was_being_written_when_a_run_was_stopped_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    saved = SavedReplies(path, "m")
    for text in ("One.", "Two."):
        saved.add("f0m0", tiny_example(context=(text,)), {"reply": text})
    path.write_text(path.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    again = SavedReplies(path, "m")
    assert again.find("f0m0", tiny_example(context=("One.",))) == "One."
    assert again.find("f0m0", tiny_example(context=("Two.",))) is None
    again.add("f0m0", tiny_example(context=("Two.",)), {"reply": "Two."})
    assert len(SavedReplies(path, "m")) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"model": "other"}\n', "has replies of another model"),
        ("[1]\n", r"line 1: expected a JSON object, got \[1\]"),
        ("Hello\n", "line 1: expected JSON: Expecting value"),
        ("[" * 100_000 + "\n", "line 1: expected JSON: it is nested too deeply"),
        ("Hello", "line 1: 'Hello'; expected a file of replies"),
        ('{"model": "m"}\n{"reply": "Hi"}\n', "line 2: expected a saved reply"),
        (
            '{"model": "m"}\n{"reply": 5, "setting": "", "task": "", "context": [], "persona": [], '
            '"style": null, "gender": null, "image_id": null}\n',
            "line 2: expected a saved reply",
        ),
        (b"\xff\n", "expected text in UTF-8"),
    ],
)
def test_another_file_is_refused_and_stays(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "replies.jsonl"
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"replies.jsonl: {message}"):
        SavedReplies(path, "m")
    assert path.read_bytes() == data


def test_a_model_or_its_search_changed_is_another_model(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint()
    other = replace(checkpoint, config=replace(checkpoint.config, search=SearchConfig()))
    found = []
    for name, one in (("a", checkpoint), ("b", checkpoint), ("c", other)):
        save_checkpoint(one, tmp_path / name, precision="fp32")
        found.append(fingerprint(tmp_path / name))
    assert found[0] == found[1] != found[2]
