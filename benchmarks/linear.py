"""How fast linear layers read their weights: ``python benchmarks/linear.py [--threads N]``.

Prints a Markdown table: gigabytes of float32 weights a second for a few rows, in panels, packed as
``openmmb.engine.packed`` does, and plain, over so many different weights that no cache holds them,
and what a plain sum over the same memory reads.
"""

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

import torch

from openmmb.engine.packed import PackedLinear
from openmmb.engine.panels import PanelLinear

L = TypeVar("L", PackedLinear, PanelLinear)

SHAPE = (5120, 1280)
"""Outputs and inputs: the feed-forward layer of a 400M BlenderBot."""
WEIGHTS = 40
ROWS = (1, 4, 6, 7, 10, 16, 80)
GIGABYTES = WEIGHTS * SHAPE[0] * SHAPE[1] * 4 / 1e9


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    plain = [torch.randn(SHAPE) for _ in range(WEIGHTS)]
    packed = [_filled(PackedLinear(*SHAPE[::-1], bias=False), weight) for weight in plain]
    panels = [_filled(PanelLinear(*SHAPE[::-1], bias=False), weight) for weight in plain]
    print(f"{torch.get_num_threads()} threads, {WEIGHTS} weights of {SHAPE[0]} x {SHAPE[1]}\n")
    print("| rows | panels, GB/s | packed, GB/s | F.linear, GB/s |\n|---:|---:|---:|---:|")
    with torch.inference_mode():
        for rows in ROWS:
            x = torch.randn(rows, SHAPE[1])
            first = _rate(lambda x=x: [layer(x) for layer in panels])
            second = _rate(lambda x=x: [layer(x) for layer in packed])
            slow = _rate(lambda x=x: [torch.nn.functional.linear(x, weight) for weight in plain])
            print(f"| {rows} | {first:.1f} | {second:.1f} | {slow:.1f} |")
        print(f"\na sum over them: {_rate(lambda: [weight.sum() for weight in plain]):.1f} GB/s")


def _filled(layer: L, weight: torch.Tensor) -> L:
    layer.fill(weight)
    return layer


def _rate(run: Callable[[], object]) -> float:
    """Return the best of five runs, after one that does not count."""
    run()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return GIGABYTES / best


if __name__ == "__main__":
    main()
