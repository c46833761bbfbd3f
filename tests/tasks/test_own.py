"""Every fault of every line of one's own file is told, and what the other lines hold is counted."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openmmb.errors import DataError
from openmmb.tasks.jsonl import read_conversations
from openmmb.tasks.own import OwnFile, check_file, describe, describe_lengths, describe_pictures
from tests.build import tiny_checkpoint

HI = {"speaker": "a", "text": "Hi."}
HO = {"speaker": "b", "text": "Have you ever been on a boat?"}
GOOD = {"turns": [HI, HO, HI], "style": {"b": "Curious"}, "persona": {"b": ["I sail."]}}


def checked(tmp_path: Path, *rows: Any) -> OwnFile:
    lines = [
        row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row))
        for row in rows
    ]
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b"".join((x if isinstance(x, bytes) else x.encode()) + b"\n" for x in lines))
    return check_file(path)


@pytest.mark.parametrize(
    ("row", "faults"),
    [
        ({"turns": [HI, HO], "imag": "a.png"}, ["imag: no key 'imag'; did you mean 'image'?"]),
        (
            {"turns": [HI, {"speaker": "b", "txt": "Ho."}]},
            ["turns.1.text: missing", "turns.1.txt: no key 'txt'; did you mean 'text'?"],
        ),
        ({"turns": [HI, HO], "image": 3}, ["image: expected text, got 3"]),
        ({"turns": "Hi."}, ["turns: expected a list, got 'Hi.'"]),
        ({"turns": ["Hi."]}, ["turns.0: expected an object, got 'Hi.'"]),
        (
            {"turns": [HI, HO], "persona": ["I sail."]},
            ["persona: expected an object with an entry for each speaker, got ['I sail.']"],
        ),
        ({"turns": [HI, HO], "style": {"c": "Sweet"}}, ["style names 'c', who says nothing; sp"]),
        ({"turns": [HI, {"speaker": "b", "text": " "}]}, ["turns.1: text is empty: ' '; leave"]),
        ({"turns": [HI]}, ["nothing to learn: 1 turns, learn is None; the turn that opens a c"]),
        ({}, ["turns: missing"]),
        ([HI], ["expected an object, got [{'speaker': 'a', 'text': 'Hi.'}]"]),
        ('{"turns": [', ["expected a JSON object on one line: EOF while parsing"]),
        (b"\xff\xfe", ["expected text in UTF-8: invalid start byte"]),
        ('"\\ud83d"', ["expected an object, got ''"]),
        ('{"turns": ["\\ud83d', ["expected a JSON object on one line: "]),
    ],
)
def test_each_fault_has_its_line_its_field_and_what_is_expected(
    row: Any, faults: list[str], tmp_path: Path
) -> None:
    report = checked(tmp_path, GOOD, "", row, GOOD)
    assert len(report.faults) == len(faults)
    for fault, expected in zip(report.faults, faults, strict=True):
        assert fault.startswith(f"{tmp_path / 'mine.jsonl'}: line 3: {expected}")
    assert (report.lines, report.faulty, len(report.examples)) == (3, 1, 2)


def test_half_an_emoji_is_no_fault_since_training_leaves_it_out(tmp_path: Path) -> None:
    row = (
        '\ufeff{"turns": [{"speaker": "a", "text": "Hi \\ud83d"}, {"speaker": "b", "text": "Ho."}]}'
    )
    report = checked(tmp_path, row, "\ufeff")  # as where empty files were put together
    assert (report.faults, report.lines) == ([], 1)
    (example,) = read_conversations(tmp_path / "mine.jsonl", task="jsonl", group="train")
    assert [one for learnt in report.examples for one in learnt] == [
        replace(example, conversation="1")
    ]


def test_all_faults_of_all_lines_are_told(tmp_path: Path) -> None:
    report = checked(tmp_path, {"turns": [1, 2]}, {"image": 1})
    assert [fault.split(": ", 1)[1].split(": ")[0] for fault in report.faults] == [
        *("line 1", "line 1"),
        *("line 2", "line 2"),
    ]


def test_what_a_file_holds_is_counted(tmp_path: Path) -> None:
    pictured = {"turns": [HI, {**HO, "image": "c/fence.png"}], "image": "boat.jpg"}
    report = checked(tmp_path, GOOD, {**GOOD, "style": {"b": "My own"}}, GOOD, pictured)
    assert list(describe(report)) == [
        "4 conversations, 11 turns of 2 speakers, 8 replies to learn",
        "personas: in 3 conversations",
        "styles: Curious 2, My own 1",
    ]
    assert describe_pictures(report, None, "").startswith("pictures: 2 named; --images or --feat")
    assert describe_pictures(report, {"boat", "fence"}, "p") == "pictures: 2 named, all in p"
    assert describe_pictures(report, {"x"}, "p") == (
        "pictures: 2 named, 2 missing in p: boat, fence"
    )


def test_what_will_be_cut_is_told(tmp_path: Path) -> None:
    long = {"turns": [HI, {"speaker": "b", "text": "boat " * 60}, HI]}
    checkpoint = tiny_checkpoint()
    tokenizer, encode = checkpoint.tokenizer, checkpoint.config.encode
    report = checked(tmp_path, GOOD)
    contexts, replies = describe_lengths(report, tokenizer, encode)
    assert contexts.endswith("at most; none is over 48")
    assert replies.endswith("at most; none is over 24")
    report = checked(tmp_path, long, {**GOOD, "persona": {"b": ["I sail every day. " * 9]}})
    contexts, replies, pinned = describe_lengths(report, tokenizer, encode)
    assert "are longer than 48 (encode.max_context) and lose their oldest turns" in contexts
    assert "1 are longer than 24 (encode.max_reply) and lose their end" in replies
    assert pinned.startswith("personas and styles: 1 take more than 24 tokens")
    parlai = replace(encode, layout="parlai", max_pinned=0)
    assert "lose their beginning" in next(iter(describe_lengths(report, tokenizer, parlai)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jsonl: No such file"):
        check_file(tmp_path / "gone.jsonl")


def test_a_file_of_nothing_holds_nothing(tmp_path: Path) -> None:
    report = checked(tmp_path)
    assert list(describe(report)) == ["0 conversations, 0 turns of 0 speakers, 0 replies to learn"]
    checkpoint = tiny_checkpoint()
    assert list(describe_lengths(report, checkpoint.tokenizer, checkpoint.config.encode)) == []
