"""A log is JSON lines; a resumed run drops what it will do again and what was torn."""

import json
import math
from pathlib import Path

from openmmb.train.log import Log, Record


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
