"""Which layout of weights this processor reads quickest: measured once, then remembered on disk.

Nothing of a processor's name tells it: that depends on its caches and registers, on the kernels
that a build of PyTorch brings for it, and on how many threads share the memory.
"""

import json
import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import torch

from openmmb.engine.filled import LayerFactory
from openmmb.errors import ConfigError
from openmmb.files import cache_folder, read_json, write_whole

SHAPE: Final = (4096, 1024)
"""Outputs and inputs of the weight that is measured."""
ROWS: Final = 10
"""Rows that it multiplies: the beams of one reply."""
ROUNDS: Final = 3
"""Times that each layout is measured; the quickest counts, as a neighbour only ever slows down."""
OTHERS: Final = 2**24
"""Numbers read between two measurements: 64 MB, for a search finds no weight in a cache either."""
SWITCHES: Final = ("ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "ATEN_CPU_CAPABILITY")
"""Variables of the environment that choose other kernels."""
FILE: Final = "layouts.json"
MOST_KEPT: Final = 100
"""Measurements that the file holds; the oldest make room for new ones."""


def quickest(precision: str, layouts: Mapping[str, LayerFactory]) -> LayerFactory:
    """Return the layout that is read quickest here.

    The first call on a processor takes some tens of milliseconds. A file that cannot be read or
    written is no error: then every process measures for itself.

    Args:
        precision: What the layouts are of, to tell several measurements apart.
        layouts: Name -> what builds layers that hold a weight so.
    """
    if len(layouts) == 1:
        return next(iter(layouts.values()))
    key = " | ".join([precision, ",".join(sorted(layouts)), processor()])
    known = _remembered()
    name = known.get(key)
    if name is None or name not in layouts:
        name = measure(layouts)
        _remember({**known, key: name})
    return layouts[name]


def processor() -> str:
    """Describe the processor, and what else decides how fast its kernels are."""
    lines = [platform.machine(), platform.processor()]
    with suppress(OSError):
        told = (
            Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
        )
        named = ("vendor_id", "model name", "cpu family", "model", "stepping", "cache size")
        pairs = [[half.strip() for half in line.split(":", 1)] for line in told.splitlines()]
        lines += [pair[1] for pair in pairs if len(pair) == 2 and pair[0] in named]
    switches = [f"{name}={os.environ[name]}" for name in SWITCHES if name in os.environ]
    threads = f"{torch.get_num_threads()} threads"
    return " ".join([*filter(None, lines), f"torch {torch.__version__}", threads, *switches])


@torch.inference_mode()
def measure(layouts: Mapping[str, LayerFactory]) -> str:
    """Return the name of the layout that multiplies ten rows in the least time, from memory."""
    outputs, inputs = SHAPE
    weight = torch.full(SHAPE, 0.5)
    x, others = torch.full((ROWS, inputs), 0.5), torch.zeros(OTHERS)
    steps = {}
    for name, layout in layouts.items():
        layer = layout(inputs, outputs, bias=False, stepwise=True)
        layer.fill(weight)
        steps[name] = layer.for_rows(ROWS)
        steps[name](x)
    times = dict.fromkeys(steps, float("inf"))
    for _ in range(ROUNDS):
        for name, step in steps.items():
            others.sum()
            started = time.perf_counter()
            step(x)
            times[name] = min(times[name], time.perf_counter() - started)
    return min(times, key=times.__getitem__)


def _remembered() -> dict[str, str]:
    """Return what was measured before; what is no such thing counts as nothing."""
    with suppress(ConfigError, RuntimeError):  # the latter: nobody's home
        kept = read_json(cache_folder() / FILE)
        if isinstance(kept, dict):
            return {key: name for key, name in kept.items() if isinstance(name, str)}
    return {}


def _remember(kept: Mapping[str, str]) -> None:
    newest = dict(list(kept.items())[-MOST_KEPT:])
    with suppress(OSError, RuntimeError):
        cache_folder().mkdir(parents=True, exist_ok=True)
        write_whole(cache_folder() / FILE, json.dumps(newest, indent=1) + "\n")
