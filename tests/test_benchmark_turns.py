"""Engines that are measured in turns cannot keep a benchmark from ending, whatever they do."""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.turns import Engine, Sample, started, take_turns

ROOT = Path(__file__).parent.parent
ANSWER = {"seconds": 1.0, "cpu": 1.9, "waited": 0.0, "peak": 0.5, "tokens": [[5]]}


def engine_of(stack: ExitStack, folder: Path, script: str, limit: int = 30) -> Engine:
    command = [sys.executable, "-c", script]
    return stack.enter_context(started("some", command, folder, limit=limit, settings={}))


def answering(**changes: float) -> str:
    line = json.dumps(ANSWER | changes)
    return f"import sys\nfor _ in sys.stdin: print({line!r}, flush=True)"


def test_an_engine_answers_in_every_round(tmp_path: Path) -> None:
    with ExitStack() as stack:
        engine = engine_of(stack, tmp_path, answering())
        take_turns([engine], 3, rounds=2, seconds=60)
        assert (engine.seconds, engine.num_clean, engine.tokens) == (1.0, 2, [[5]])


def test_an_engine_that_fails_is_out_with_the_last_line_that_it_wrote(tmp_path: Path) -> None:
    with ExitStack() as stack:
        good = engine_of(stack, tmp_path, answering())
        bad = engine_of(stack, tmp_path, "raise SystemExit('no such weights')")
        take_turns([bad, good], 3, rounds=2, seconds=60)
        assert bad.lost == "ended with code 1: no such weights"
        assert len(good.samples) == 2


def test_an_engine_that_does_not_answer_is_out(tmp_path: Path) -> None:
    with ExitStack() as stack:
        engine = engine_of(stack, tmp_path, "import sys\nsys.stdin.read()", limit=1)
        take_turns([engine], 3, rounds=2, seconds=60)
        assert engine.lost == "no answer in 1 s"


@pytest.mark.parametrize("disturbed", [{"waited": 0.4}, {"cpu": 0.5}])
def test_a_disturbed_sample_is_taken_again_and_then_kept(
    tmp_path: Path, disturbed: dict[str, float]
) -> None:
    with ExitStack() as stack:
        engine = engine_of(stack, tmp_path, answering(**disturbed))
        take_turns([engine], 3, rounds=1, seconds=60)
        assert (len(engine.samples), engine.num_clean) == (1, 0)
        assert engine.seconds == 1.0


def test_no_round_begins_that_would_end_too_late(tmp_path: Path) -> None:
    with ExitStack() as stack:
        engine = engine_of(stack, tmp_path, answering())
        take_turns([engine], 3, rounds=10**6, seconds=0.5)
        assert 1 <= len(engine.samples) < 10**6


def test_a_sample_is_clean_where_its_threads_had_their_cores() -> None:
    assert Sample(1.0, 1.9, 0.01).clean
    assert not Sample(1.0, 1.9, 0.2).clean
    assert not Sample(1.0, 0.2, 0.0).clean


def test_a_table_names_processor_limit_and_who_was_left_out(tmp_path: Path) -> None:
    row = {"peak": 1.0, "samples": 3, "clean": 2, "tokens": [[5]], "lost": ""}
    rows = [
        row | {"engine": "read", "seconds": 0.2},
        row | {"engine": "openmmb-fp32", "seconds": 2.0},
        row | {"engine": "transformers-fp32", "seconds": 8.0},
        row | {"engine": "parlai-fp32", "seconds": 0.0, "lost": "no answer in 9 s"},
    ]
    run = {"case": "400M/1/40", "processor": "A Chip", "threads": 2, "spin": 9, "rows": rows}
    (tmp_path / "runs").write_text(json.dumps(run), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "benchmarks/decode.py", "--table", str(tmp_path / "runs")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "| 400M | 1 | 40 | openmmb fp32 | 2.000 | 4.00 | 57% |" in done.stdout
    assert "openmmb-fp32 is as fast as 4.00 times transformers-fp32." in done.stdout
    assert "parlai-fp32 left out: no answer in 9 s" in done.stdout
    assert "A Chip; 2 threads" in done.stdout
    assert "a plain read: 40.0 GB/s" in done.stdout
