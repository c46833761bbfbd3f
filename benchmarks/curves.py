"""What a step of a search costs against batch, beams and context, measured and plotted.

    python benchmarks/curves.py 400M --axes batch --engines int8 --out curves.jsonl
    python benchmarks/curves.py --plot curves.jsonl --svg docs/images/curves.svg

``400M`` is BlenderBot's network of that size, ``135M`` the decoder-only one of SmolLM2's shape,
with random weights. Each point is the quickest of some searches. Points that other processes
disturbed, and those that do not fit into ``--seconds``, are left out, and a later run with the same
``--out`` measures only what is missing.
"""

import argparse
import json
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from networks import BEAMS, CAUSAL, END, START, config_of, contexts, prepare
from processor import processor
from turns import Sample, waited

from openmmb.checkpoint import open_checkpoint
from openmmb.engine.open import open_engine
from openmmb.search.decode import search

STEPS = 8
AT = {"batch": 1, "beams": BEAMS, "context": 128}
"""What stays as it is while one of them changes."""
AXES = {
    "beams": (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20),
    "context": (16, 32, 48, 64, 96, 128),
    "batch": (1, 2, 4, 8, 16, 32, 64),
}
LONGER = (256, 512, 1024, 2048)
"""Contexts of the decoder-only network alone."""
KINDS = ("fp32", "bf16", "int8")
NETWORKS = {"400M": "encoder-decoder, 400M", CAUSAL: "decoder-only, 135M"}
TURNS, ENOUGH = 3, 2.0
"""A point is the quickest of so many searches, or of fewer that took so many seconds together."""


def main() -> None:
    """Measure what is missing, or plot what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("network", nargs="?", choices=NETWORKS)
    parser.add_argument("--axes", nargs="*", choices=AXES, default=list(AXES))
    parser.add_argument("--engines", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--folder", type=Path, help="where weights are kept")
    parser.add_argument("--out", type=Path, default=Path("curves.jsonl"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--svg", type=Path, default=Path("curves.svg"))
    args = parser.parse_args()
    if args.plot is not None:
        plot(read(args.plot), args.svg)
        return
    if args.network is None:
        parser.error(f"network: expected one of {', '.join(NETWORKS)}")
    torch.set_num_threads(args.threads)
    with ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        deadline = time.monotonic() + args.seconds
        for kind in args.engines:
            measure(args, kind, prepare(args.network, folder), deadline)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the points of a file; none where it is missing."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def measure(args: argparse.Namespace, kind: str, checkpoint: Path, deadline: float) -> None:
    """Measure the points of one engine that are missing, cheapest first."""
    known = {(p["network"], p["kind"], p["axis"], p["value"]) for p in read(args.out)}
    wanted = [
        (axis, value)
        for axis in args.axes
        for value in (
            *AXES[axis],
            *(LONGER if axis == "context" and args.network == CAUSAL else ()),
        )
        if (args.network, kind, axis, value) not in known
    ]
    if not wanted or time.monotonic() > deadline:
        return
    engine = open_engine(open_checkpoint(checkpoint), device="cpu", kind=kind)
    once(engine, args.network, AT)  # warms up
    for axis, value in wanted:
        if time.monotonic() > deadline:
            return
        times = quickest(engine, args.network, AT | {axis: value}, deadline)
        if times is None:
            print(f"{args.network}, {kind}, {axis} {value}: disturbed, left out", flush=True)
            continue
        reading, stepping = times
        point = {
            "network": args.network,
            "kind": kind,
            "axis": axis,
            "value": value,
            "read_ms": 1000 * reading,
            "step_ms": 1000 * stepping / STEPS,
            "processor": processor(),
            "threads": args.threads,
        }
        with args.out.open("a", encoding="utf-8") as out:
            print(json.dumps(point), file=out)
        print(point, flush=True)


def quickest(
    engine: Any, network: str, where: dict[str, int], deadline: float
) -> tuple[float, float] | None:
    """Return the least that ``once`` gives of some searches; None: none of them was clean."""
    began, clean = time.monotonic(), []
    for turn in range(TURNS):
        idle, cpu, started = waited(), time.process_time(), time.monotonic()
        taken = once(engine, network, where)
        now = time.monotonic()
        sample = Sample(now - started, time.process_time() - cpu, max(0.0, waited() - idle))
        if sample.clean:
            clean.append(taken)
        if (clean and now > began + ENOUGH) or (turn and now + sample.seconds > deadline):
            break
    return (min(r for r, _ in clean), min(s for _, s in clean)) if clean else None


@torch.inference_mode()
def once(engine: Any, network: str, where: dict[str, int]) -> tuple[float, float]:
    """Return the seconds that reading the contexts takes, and those of the search after it."""
    ids = contexts(network, where["batch"], where["context"])
    config = config_of(STEPS, beams=where["beams"])
    started = time.perf_counter()
    memory = engine.read(ids, torch.ones_like(ids, dtype=torch.bool))
    middle = time.perf_counter()
    step = engine.stepper(memory, num_beams=config.num_beams, max_tokens=STEPS)
    search(step, ids, config, start_id=START, end_id=END, banned_ids=(START,))
    return middle - started, time.perf_counter() - middle


def plot(points: list[dict[str, Any]], path: Path) -> None:
    """Draw every curve, a row of axes for each network."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.rcParams |= {"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "curves"}
    networks = [name for name in NETWORKS if any(p["network"] == name for p in points)]
    figure, grid = plt.subplots(
        len(networks), 3, figsize=(10, 3.1 * len(networks)), squeeze=False, layout="constrained"
    )
    for network, row in zip(networks, grid, strict=True):
        for axis, axes in zip(AXES, row, strict=True):
            draw(axes, [p for p in points if p["network"] == network and p["axis"] == axis], axis)
            axes.set_title(f"{NETWORKS[network]}: {axis}")
    first = points[0]
    figure.suptitle(f"{first['processor']}; {first['threads']} threads; random weights", fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def draw(axes: Any, points: list[dict[str, Any]], axis: str) -> None:
    """Draw one engine's curve after another against one axis."""
    each = axis == "batch"
    for colour, kind in enumerate(KINDS):
        curve = sorted((p for p in points if p["kind"] == kind), key=lambda p: p["value"])
        if not curve:
            continue
        values = [p["value"] for p in curve]
        steps = [p["step_ms"] / (p["value"] if each else 1) for p in curve]
        axes.plot(values, steps, "o-", ms=3, lw=1, color=f"C{colour}", label=kind)
        if axis == "context":
            reads = [p["read_ms"] for p in curve]
            label = f"{kind}, reading the context"
            axes.plot(values, reads, "x--", ms=3, lw=1, color=f"C{colour}", label=label)
    if axis != "beams":
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:.0f}")
    if axis == "context":
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    fixed = ", ".join(f"{name} {value}" for name, value in AT.items() if name != axis)
    unit = {"batch": "batch, replies", "beams": "beams", "context": "context, tokens"}[axis]
    axes.set_xlabel(f"{unit} ({fixed})")
    axes.set_ylabel("ms a step and reply" if each else "ms" if axis == "context" else "ms a step")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6)


if __name__ == "__main__":
    main()
