"""Where the time of a reply goes: ``python benchmarks/shares.py [--threads N]``.

Prints a Markdown table: for the network, context and settings of ``decode.py`` at batch 1, the
share of a search that each kind of operator takes itself, as PyTorch's profiler counts it.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from engines import openmmb
from networks import contexts
from torch.profiler import ProfilerActivity, profile

CONTEXT, STEPS = 128, 40
KINDS = {
    "linear layers": ("aten::bmm", "mkldnn::_linear_pointwise", "aten::addmm", "aten::mm"),
    "attention": ("aten::_scaled_dot_product_flash_attention_for_cpu",),
    "activation": ("aten::gelu", "aten::relu"),
}


def main() -> None:
    """Search once to warm up, once under the profiler, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    print(f"| network | {' | '.join(KINDS)} | everything else |\n|---|{'---:|' * (len(KINDS) + 1)}")
    for size in ("90M", "400M"):
        with tempfile.TemporaryDirectory() as folder:
            run = openmmb("fp32", size, contexts(size, 1, CONTEXT), Path(folder))
        run(STEPS)
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            run(STEPS)
        spent = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
        whole = sum(spent.values())
        shares = [sum(spent.get(name, 0) for name in names) / whole for names in KINDS.values()]
        cells = " | ".join(f"{share:.0%}" for share in [*shares, 1 - sum(shares)])
        print(f"| {size} | {cells} |")


if __name__ == "__main__":
    main()
