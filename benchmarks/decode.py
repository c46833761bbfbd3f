"""How fast replies are found, beside the peers, as Markdown tables.

Every engine runs the same random network on the same contexts with the same settings: 10 beams, at
least 20 tokens, no n-gram of 3 twice nor from the context (CTranslate2 blocks none from the
context). They take turns, one search each; medians are compared. ``read`` reads memory and does
nothing else: the share of that rate at which an engine reads the weights of each step is what it
reaches of the limit.

    python benchmarks/decode.py --peers PYTHON --openvino PYTHON --out results.jsonl
    python benchmarks/decode.py --table results.jsonl

PYTHON is the interpreter of an environment with peers and what this package needs;
docs/performance.md says how to make one. Threads of every engine spin as briefly as this package's
do (``--spin``). ``--rounds 0`` only writes each engine's form of the weights into ``--folder``,
where the next run finds them. A run that is interrupted keeps what it has measured.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from networks import BEAMS, prepare, weights_a_step
from processor import processor
from turns import Engine, started, take_turns

ENGINES = Path(__file__).with_name("engines.py")
SOURCE = Path(__file__).parent.parent / "src"
CASES = ("90M/1/40", "90M/8/40", "400M/1/40", "400M/8/12")
OURS = ("openmmb-fp32", "openmmb-bf16", "openmmb-int8")
PEERS = ("transformers-fp32", "transformers-bf16", "parlai-fp32")
PEERS = (*PEERS, "ctranslate2-fp32", "ctranslate2-int8")
YARDSTICK, OPENVINO = "read", "openvino-int8"
CONTEXT, WARM_UP = 128, 3
BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
COMPARED = {
    "openmmb-fp32": ("ctranslate2-fp32", "transformers-fp32", "parlai-fp32"),
    "openmmb-bf16": ("transformers-bf16", "transformers-fp32"),
    "openmmb-int8": ("ctranslate2-int8", "openvino-int8", "transformers-fp32"),
}
"""Engine -> what it is compared with in words."""
HEADER = (
    "| network | batch | steps | engine | s a reply | times transformers fp32 | of the read limit "
    "| peak, GB | replies as ParlAI | clean samples |\n"
    "|---|---:|---:|---|---:|---:|---:|---:|---|---:|"
)


@dataclass(frozen=True)
class Row:
    """What one engine did in one case.

    Attributes:
        engine: Which one.
        seconds: Of a search, all inputs together.
        peak: Most memory that its process had, GB.
        samples: How many turns were measured.
        clean: How many of them nothing disturbed.
        tokens: Its replies.
        lost: Why there is no number; empty: there is one.
    """

    engine: str
    seconds: float
    peak: float
    samples: int
    clean: int
    tokens: list[list[int]]
    lost: str


def main() -> None:
    """Measure every case, or read what was measured, and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peers", type=Path, help="Python with transformers, ParlAI, CTranslate2")
    parser.add_argument("--openvino", type=Path, help="Python with optimum-intel")
    parser.add_argument("--cases", nargs="*", default=CASES, metavar="SIZE/BATCH/STEPS")
    parser.add_argument("--engines", nargs="*", help="names, as in the table; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=600, help="most for the turns of a case")
    parser.add_argument("--limit", type=int, default=120, help="most seconds for one search")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--spin", type=int, default=0, help="GOMP_SPINCOUNT of every engine")
    parser.add_argument("--folder", type=Path, help="where forms of the weights are kept")
    parser.add_argument("--out", type=Path, help="JSON lines, one more for each case")
    parser.add_argument("--table", type=Path, help="print this file of JSON lines, measure nothing")
    args = parser.parse_args()
    if args.table is not None:
        print(table_of(read_runs(args.table)))
        return
    with ExitStack() as stack:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        for case in args.cases:
            run = measure(case, folder, args)
            if args.out is not None and args.rounds:
                with args.out.open("a", encoding="utf-8") as out:
                    print(json.dumps(run), file=out)
            print(table_of([run]), flush=True)


def read_runs(path: Path) -> list[dict[str, Any]]:
    """Return the runs of a file, the last of each case with the same engines."""
    runs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    last = {(run["case"], *(row["engine"] for row in run["rows"])): run for run in runs}
    return sorted(last.values(), key=lambda run: str(run["case"]))


def measure(case: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Measure one case and return it as it is written."""
    size, batch, steps = case.split("/")
    prepare(size, folder)
    pythons = {YARDSTICK: Path(sys.executable)} | dict.fromkeys(OURS, Path(sys.executable))
    if args.peers is not None:
        pythons |= dict.fromkeys(PEERS, args.peers)
    if args.openvino is not None:
        pythons[OPENVINO] = args.openvino
    names = [n for n in pythons if not args.engines or n in (YARDSTICK, *args.engines)]
    threads = str(args.threads)
    settings = {
        "PYTHONPATH": str(SOURCE),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "GOMP_SPINCOUNT": str(args.spin),
        "HF_HUB_OFFLINE": "1",
    }
    options = ["--batch", batch, "--context", str(CONTEXT), "--threads", threads]
    options += ["--folder", str(folder)]
    engines: list[Engine] = []
    with ExitStack() as stack:
        for name in names:
            command = [str(pythons[name]), str(ENGINES), name, size, *options]
            engine = stack.enter_context(
                started(name, command, folder, limit=4 * args.limit, settings=settings)
            )
            engine.turn(WARM_UP)  # one after another: each loads its weights alone
            engine.limit = args.limit
            engines.append(engine)
            if not args.rounds:
                stack.close()
        with suppress(KeyboardInterrupt):  # what was measured is kept
            take_turns(engines, int(steps), rounds=args.rounds, seconds=args.seconds)
    return {
        "case": case,
        "processor": processor(),
        "threads": args.threads,
        "spin": args.spin,
        "rows": [asdict(row_of(engine)) for engine in engines],
    }


def row_of(engine: Engine) -> Row:
    """Return what is written of an engine."""
    lost = engine.lost or ("" if engine.samples else "not measured")
    return Row(
        engine.name,
        0.0 if lost else engine.seconds,
        engine.peak,
        len(engine.samples),
        engine.num_clean,
        engine.tokens,
        lost,
    )


def table_of(runs: list[dict[str, Any]]) -> str:
    """Return the table of some runs, and beneath it who is how many times as fast as whom.

    Engines are compared within their run alone.
    """
    rows, notes = [HEADER], []
    for run in runs:
        every = [Row(**row) for row in run["rows"]]
        timed = {row.engine: row for row in every if not row.lost}
        rate = rate_of(timed.pop(YARDSTICK, None))
        rows += [cells_of(run["case"], row, timed, rate) for row in timed.values()]
        notes += [f"- {run['case']}, {note}" for note in comparisons(timed)]
        notes += [
            f"- {run['case']}, {row.engine} left out: {row.lost}" for row in every if row.lost
        ]
        notes.append(
            f"- {run['case']}: {run['processor']}; {run['threads']} threads, "
            f"GOMP_SPINCOUNT={run['spin']}; {BEAMS} beams, context of {CONTEXT}; a plain read: "
            f"{rate:.1f} GB/s."
        )
    return "\n".join([*rows, "", *notes, ""])


def cells_of(case: str, row: Row, timed: dict[str, Row], rate: float) -> str:
    """Return one line of the table."""
    size, batch, steps = case.split("/")
    engine, _, precision = row.engine.rpartition("-")
    read = weights_a_step(size) * BYTES[precision] * int(steps) / 1e9 / row.seconds
    wanted = timed["parlai-fp32"].tokens if "parlai-fp32" in timed else None
    cells = [
        size,
        batch,
        steps,
        f"{engine} {precision}",
        f"{row.seconds / int(batch):.3f}",
        ratio(timed.get("transformers-fp32"), row),
        f"{read / rate:.0%}" if rate else "",
        f"{row.peak:.1f}",
        agreement(row.tokens, wanted),
        f"{row.clean} of {row.samples}",
    ]
    return f"| {' | '.join(cells)} |"


def comparisons(timed: dict[str, Row]) -> list[str]:
    """Say of each engine of this project how it compares with others."""
    notes = []
    for name, others in COMPARED.items():
        known = [other for other in others if other in timed and name in timed]
        ratios = [f"{ratio(timed[other], timed[name])} times {other}" for other in known]
        if ratios:
            notes.append(f"{name} is as fast as {', '.join(ratios)}.")
    return notes


def rate_of(row: Row | None) -> float:
    """Return GB a second of the plain read; 0 where there is none."""
    from engines import GIGABYTES, READS

    return GIGABYTES * READS / row.seconds if row else 0.0


def ratio(slow: Row | None, fast: Row) -> str:
    """Say how many times as fast one is as the other."""
    return f"{slow.seconds / fast.seconds:.2f}" if slow else ""


def agreement(tokens: list[list[int]], wanted: list[list[int]] | None) -> str:
    """Say how many replies are those of ParlAI, token for token."""
    if wanted is None:
        return "not run"
    same = sum(one == other for one, other in zip(tokens, wanted, strict=True))
    return f"{same} of {len(wanted)}"


if __name__ == "__main__":
    main()
