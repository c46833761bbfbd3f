"""One engine of ``decode.py``: the same random network, each time that it is told to, one search.

Run with the engine's own Python, from ``decode.py``; ``openmmb`` must be importable in each. Reads
lines: a number makes it search for replies of so many tokens and print what that took and the
token ids as JSON. The engine ``read`` is the yardstick: it reads memory and does nothing else.
"""

import argparse
import json
import resource
import sys
import time
from functools import partial
from pathlib import Path

import peers
import torch
from networks import BEAMS, END, NAMES, SEES, START, config_of, contexts, prepare, shape_of
from peers import Run
from torch import Tensor
from turns import waited

GIGABYTES, READS = 0.5, 16
"""What ``read`` reads, and how often a turn."""


def openmmb(kind: str, size: str, ids: Tensor, folder: Path) -> Run:
    """Return this project's search, with one of its engines."""
    from openmmb.checkpoint import open_checkpoint
    from openmmb.engine.open import open_engine
    from openmmb.search.decode import search

    engine = open_engine(open_checkpoint(prepare(size, folder)), device="cpu", kind=kind)
    image = None
    if size == SEES:
        shape = shape_of(size)
        source = torch.Generator().manual_seed(2)
        image = torch.rand(len(ids), shape.image_vectors, shape.image_dim, generator=source)
        image = image.to(engine.dtype)

    @torch.inference_mode()
    def run(steps: int) -> list[list[int]]:
        memory = engine.read(ids, torch.ones_like(ids, dtype=torch.bool), image)
        step = engine.stepper(memory, num_beams=BEAMS, max_tokens=steps)
        config = config_of(steps)
        replies = search(step, ids, config, start_id=START, end_id=END, banned_ids=(START,))
        return [list(hypotheses[0].tokens) for hypotheses in replies]

    return run


def read(_precision: str, _size: str, _ids: Tensor, _folder: Path) -> Run:
    """Return a plain read of memory that no cache holds."""
    memory = torch.ones(int(GIGABYTES * 1e9) // 4)

    @torch.inference_mode()
    def run(_steps: int) -> list[list[int]]:
        for _ in range(READS):
            memory.sum()
        return []

    return run


ENGINES = {
    "read": partial(read, "fp32"),
    **{f"openmmb-{kind}": partial(openmmb, kind) for kind in ("fp32", "bf16", "int8")},
    **{f"transformers-{kind}": partial(peers.transformers, kind) for kind in ("fp32", "bf16")},
    "parlai-fp32": partial(peers.parlai, "fp32"),
    **{f"ctranslate2-{kind}": partial(peers.ctranslate2, kind) for kind in ("fp32", "int8")},
    "openvino-int8": partial(peers.openvino, "int8"),
}


def main() -> None:
    """Load, search briefly to warm up, then at every line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("size", choices=NAMES)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print as they like
    ids = contexts(args.size, args.batch, args.context)
    run = ENGINES[args.engine](args.size, ids, args.folder)
    for line in sys.stdin:
        idle, cpu, started = waited(), time.process_time(), time.perf_counter()
        tokens = run(int(line))
        taken = {
            "seconds": time.perf_counter() - started,
            "cpu": time.process_time() - cpu,
            "waited": max(0.0, waited() - idle),
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
            "tokens": tokens,
        }
        json.dump(taken, answers)
        print(file=answers, flush=True)


if __name__ == "__main__":
    main()
