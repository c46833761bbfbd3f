"""How soon an answer comes, and with neighbours: ``python benchmarks/instant.py``.

First the commands, each in a process of its own: processor time, user's and system's, and time on
the clock. Then replies of models that are loaded, alone and beside two processes that keep a core
busy each. 400M is Blenderbot's shape with random weights. Variables such as GOMP_SPINCOUNT and
OMP_NUM_THREADS count, so that what they change can be measured.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median

COMMANDS = {
    "import torch": ["-c", "import torch"],
    "openmmb --help": ["-m", "openmmb", "--help"],
    "openmmb reply Hi tiny": ["-m", "openmmb", "reply", "Hi", "tiny"],
    "openmmb reply Hi small": ["-m", "openmmb", "reply", "Hi", "small"],
}
MODELS = ("tiny", "small", "400M")
BUSY = 2
MESSAGE = "Hello there, how are you doing today?"


def main() -> None:
    """Read the flags, measure, print the two tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--commands", nargs="*", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--answer", choices=MODELS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.answer:
        answer(args.answer, args.rounds)
        return
    if args.commands:
        print("| command | processor s | clock s |\n|---|---:|---:|", flush=True)
    for name in args.commands:
        used, passed = run(COMMANDS[name], args.rounds)
        print(f"| `{name}` | {used:.2f} | {passed:.2f} |", flush=True)
    if args.models:
        print(f"\n| model | alone, s a reply | beside {BUSY} busy processes | times |")
        print("|---|---:|---:|---:|", flush=True)
    for name in args.models:
        alone = ask(name, args.rounds)
        with neighbours():
            beside = ask(name, args.rounds)
        print(f"| {name} | {alone:.3f} | {beside:.3f} | {beside / alone:.1f} |", flush=True)


def run(arguments: list[str], rounds: int) -> tuple[float, float]:
    """Return the median processor time and time on the clock of a process of Python's."""
    used, passed = [], []
    for _ in range(rounds):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        passed.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return median(used), median(passed)


def ask(model: str, rounds: int) -> float:
    """Return the median seconds of a reply, measured in a process of its own."""
    command = [sys.executable, __file__, "--answer", model, "--rounds", str(rounds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


@contextmanager
def neighbours() -> Iterator[None]:
    """Keep cores busy meanwhile."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def answer(model: str, rounds: int) -> None:
    """Print the median seconds of a reply."""
    import openmmb  # before PyTorch, as in the commands

    bot = open_random(model) if model == "400M" else openmmb.load(model)
    bot.reply(MESSAGE)  # the first one warms up
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        bot.reply(MESSAGE)
        seconds.append(time.perf_counter() - began)
    print(median(seconds))


def open_random(size: str) -> "openmmb.Bot":  # type: ignore[name-defined]  # noqa: F821
    """Return a bot with random weights, the vocabulary of ``tiny``, and Blenderbot's search."""
    import torch

    from openmmb import Bot, Guard
    from openmmb.checkpoint import Checkpoint, find_checkpoint, new_network, open_checkpoint
    from openmmb.engine.open import open_engine
    from openmmb.model.config import SIZES

    torch.manual_seed(0)
    tiny = open_checkpoint(find_checkpoint("tiny"))
    shape = replace(SIZES[size], vocab_size=tiny.config.model.vocab_size)
    network = new_network(shape).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.02)
    search = replace(tiny.config.search, beam_size=10, min_length=39, max_length=40)
    config = replace(tiny.config, model=shape, search=search)
    return Bot(open_engine(Checkpoint(config, network, tiny.tokenizer)), guard=Guard(checks=()))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", os.pathsep.join(filter(None, sys.path[1:])))
    main()
