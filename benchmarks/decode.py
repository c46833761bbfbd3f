"""How fast replies are found, beside Hugging Face's `transformers` and ParlAI, as a Markdown table.

Every engine runs the same random network on the same contexts with the same settings: 10 beams, at
least 20 tokens, no n-gram of 3 twice nor from the context, float32. They take turns, one search
each, so that a busy moment of the machine meets all of them; medians are compared.

    python benchmarks/decode.py --transformers-python PYTHON --parlai-python PYTHON

PYTHON is the interpreter of an environment with the peer and what this package needs;
docs/performance.md says how to make one. An engine that is not given is left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ENGINES = Path(__file__).with_name("engines.py")
SOURCE = Path(__file__).parent.parent / "src"
CASES = (("90M", 1), ("90M", 8), ("400M", 1), ("400M", 8))
CONTEXT, STEPS = 128, 40


@dataclass
class Engine:
    """A process that searches when it is told to.

    Attributes:
        name: Which one.
        process: The process.
        errors: What it wrote to standard error.
        seconds: Of each search so far.
        tokens: What it found, the same each time.
    """

    name: str
    process: subprocess.Popen[str]
    errors: Path
    seconds: list[float] = field(default_factory=list)
    tokens: list[list[int]] = field(default_factory=list)

    def search(self, *, counts: bool) -> None:
        """Let it search once and wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.answer(counts=counts)

    def answer(self, *, counts: bool) -> None:
        """Read what the search at hand found."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            last = self.errors.read_text(encoding="utf-8").strip().rpartition("\n")[2]
            raise SystemExit(f"{self.name}: ended with code {self.process.wait()}: {last}")
        found: dict[str, Any] = json.loads(line)
        self.tokens = found["tokens"]
        if counts:
            self.seconds.append(found["seconds"])


def main() -> None:
    """Measure every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transformers-python", type=Path)
    parser.add_argument("--parlai-python", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--cases", nargs="*", default=[f"{s}/{b}" for s, b in CASES])
    args = parser.parse_args()
    pythons = {
        "openmmb": Path(sys.executable),
        "transformers": args.transformers_python,
        "parlai": args.parlai_python,
    }
    pythons = {name: python for name, python in pythons.items() if python is not None}
    print(f"{args.threads} threads, {args.rounds} rounds, context {CONTEXT}, {STEPS} steps\n")
    print("| network | batch | engine | s a reply | times openmmb | tokens as ParlAI |")
    print("|---|---:|---|---:|---:|---|", flush=True)
    for case in args.cases:
        size, batch = case.split("/")
        for row in measure(pythons, size, int(batch), args):
            print(row, flush=True)


def measure(pythons: dict[str, Path], size: str, batch: int, args: argparse.Namespace) -> list[str]:
    """Return the table's rows of one case."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engines = []
        for name, python in pythons.items():
            process = subprocess.Popen(
                [
                    str(python),
                    str(ENGINES),
                    name,
                    size,
                    "--batch",
                    str(batch),
                    "--context",
                    str(CONTEXT),
                    "--steps",
                    str(STEPS),
                    "--threads",
                    str(args.threads),
                    "--folder",
                    str(folder),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=(folder / f"{name}.err").open("w"),
                env=os.environ | {"PYTHONPATH": str(SOURCE)},
                text=True,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            engines.append(Engine(name, process, folder / f"{name}.err"))
            engines[-1].answer(counts=False)  # the first search warms it up
        for _ in range(args.rounds):
            for engine in engines:
                engine.search(counts=True)
    ours = median(engines[0].seconds)
    wanted = next((engine.tokens for engine in engines if engine.name == "parlai"), None)
    return [
        f"| {size} | {batch} | {engine.name} | {median(engine.seconds) / batch:.2f} | "
        f"{median(engine.seconds) / ours:.2f} | {agreement(engine.tokens, wanted)} |"
        for engine in engines
    ]


def agreement(tokens: list[list[int]], wanted: list[list[int]] | None) -> str:
    """Say how many replies are those of ParlAI, token for token."""
    if wanted is None:
        return "not run"
    same = sum(one == other for one, other in zip(tokens, wanted, strict=True))
    return f"{same} of {len(wanted)}"


if __name__ == "__main__":
    main()
