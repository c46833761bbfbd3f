"""A log is JSON lines and curves; a resumed run drops what it will do again and what was torn."""

import json
import math
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from openmmb.training.run.log import Log, Record, numbers_of, read_log


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run."""
    read = EventAccumulator(str(run / "tensorboard"))
    read.Reload()
    return {
        tag: [(point.step, round(point.value, 6)) for point in read.Scalars(tag)]
        for tag in read.Tags()["scalars"]
    }


def test_every_record_is_a_line_and_is_shown(tmp_path: Path) -> None:
    seen: list[Record] = []
    log = Log(tmp_path / "run", seen.append)
    log.write("step", {"step": 10, "loss": 2.5})
    log.write("end", {"step": 10, "reason": "stopped"})
    lines = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == seen
    assert seen[0] == {"kind": "step", "step": 10, "loss": 2.5}


def test_what_json_has_no_number_for_is_a_word(tmp_path: Path) -> None:
    Log(tmp_path, lambda _: None).write("skip", {"loss": math.nan, "norm": math.inf})
    line = (tmp_path / "log.jsonl").read_text(encoding="utf-8")
    assert line == '{"kind": "skip", "loss": "nan", "norm": "inf"}\n'


def test_cut_after_drops_later_records(tmp_path: Path) -> None:
    log = Log(tmp_path, lambda _: None)
    log.cut_after(0)  # there is no log yet
    for step in (0, 10, 20, 30):
        log.write("step", {"step": step})
    log.cut_after(20)
    log.write("start", {"step": 20})
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 10, 20, 20]


def test_cut_after_drops_a_torn_line_and_ends_the_last(tmp_path: Path) -> None:
    log = Log(tmp_path, lambda _: None)
    path = tmp_path / "log.jsonl"
    path.write_text('{"kind": "step", "step": 10}\n{"kind": "st', encoding="utf-8")
    log.cut_after(10)
    assert path.read_text(encoding="utf-8") == '{"kind": "step", "step": 10}\n'
    path.write_text('{"kind": "step", "step": 10}', encoding="utf-8")
    log.cut_after(10)
    assert path.read_text(encoding="utf-8") == '{"kind": "step", "step": 10}\n'


def test_tensorboard_has_the_numbers_of_updates_and_validations(tmp_path: Path) -> None:
    log = Log(tmp_path, lambda _: None)
    log.write("start", {"step": 0, "parameters": 7})
    log.write("step", {"step": 10, "tokens": 90, "seconds": 1.0, "loss": 2.5, "lr": 0.125})
    log.write("valid", {"step": 10, "tokens": 90, "ppl/convai2": 33.0, "note": "a word"})
    assert curves(tmp_path) == {
        "train/loss": [(10, 2.5)],
        "train/lr": [(10, 0.125)],
        "valid/ppl/convai2": [(10, 33.0)],
    }


def test_tensorboard_has_no_step_twice_after_a_run_was_resumed(tmp_path: Path) -> None:
    first = Log(tmp_path, lambda _: None)
    for step in (10, 20, 30, 40):
        first.write("step", {"step": step, "loss": 9.0})
    second = Log(tmp_path, lambda _: None)
    second.cut_after(20)
    for step in (30, 40, 50):
        second.write("step", {"step": step, "loss": 1.0})
    records, _ = read_log(tmp_path / "log.jsonl")
    wanted = [(int(record["step"]), record["loss"]) for record in records]
    assert wanted == [(10, 9.0), (20, 9.0), (30, 1.0), (40, 1.0), (50, 1.0)]
    assert curves(tmp_path) == {"train/loss": wanted}


def test_without_tensorboard_a_run_goes_on_and_the_log_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    log = Log(tmp_path, lambda _: None)
    log.write("start", {"step": 0})
    log.write("step", {"step": 10, "loss": 9.0})
    log.write("step", {"step": 20, "loss": 8.0})
    records, _ = read_log(tmp_path / "log.jsonl")
    assert [record["kind"] for record in records] == ["start", "step", "note", "step"]
    assert "pip install tensorboard" in str(records[2]["text"])
    assert not (tmp_path / "tensorboard").exists()


def test_the_numbers_of_a_record_are_what_it_measures() -> None:
    record: Record = {"kind": "step", "step": 10, "seconds": 1.5, "loss": 2, "norm": "nan"}
    assert numbers_of(record) == {"loss": 2.0}


def test_a_log_is_read_back_but_for_damaged_lines(tmp_path: Path) -> None:
    log = Log(tmp_path, lambda _: None)
    log.write("step", {"step": 10, "loss": 2.5})
    path = tmp_path / "log.jsonl"
    with path.open("ab") as file:
        file.write(b'{"kind": "st\n[1]\n\xff\n{"no": "kind"}\n')
    log.write("end", {"step": 10})
    records, damaged = read_log(path)
    assert [record["kind"] for record in records] == ["step", "end"]
    assert damaged == 4


GARBAGE = [
    b"\x00" * 600,
    b"\xff\xfe\x80",
    b"[" * 100_000,
    b'{"kind": "step", "step": "ten"}',
    b'{"kind": "step", "step": null}',
    b'{"kind": "step", "step": [1]}',
    b'{"kind": "step", "step": NaN}',
    b'{"kind": "step", "step": Infinity}',
    b'{"kind": "step", "step": true}',
    b'{"kind": "step", "step": false}',
    b'{"kind": "step", "step": 1' + b"0" * 400 + b"}",
    b'{"kind": "step", "step": ' + b"9" * 5000 + b"}",
    b'{"kind": "step", "step": 1, "loss": {}}',
    b'{"kind": ["step"], "step": 1}',
    '{"kind": "step",\u2028 "step": 1'.encode(),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_whatever_a_crash_leaves_in_a_log_a_run_goes_on(garbage: bytes, tmp_path: Path) -> None:
    log = Log(tmp_path, lambda _: None)
    for step in (10, 20):
        log.write("step", {"step": step, "loss": 2.5})
        with (tmp_path / "log.jsonl").open("ab") as file:
            file.write(garbage + b"\n")
    records, damaged = read_log(tmp_path / "log.jsonl")
    assert [numbers_of(record) for record in records] == [{"loss": 2.5}] * 2
    assert damaged == 2
    log.cut_after(10)
    log.write("start", {"step": 10})
    records, damaged = read_log(tmp_path / "log.jsonl")
    assert [record["kind"] for record in records] == ["step", "note", "start"]
    assert records[1]["text"] == "damaged lines of log.jsonl that were dropped: 1"
    assert damaged == 0
