"""What reduced precision costs a trained model: every engine beside fp32, on the same examples.

    python benchmarks/precision.py --root data --features features [--models small tiny]

Prints a Markdown table a model: for each data set the perplexity of people's replies, how many of
the model's own replies stay the same, their F1 and BLEU-4, and at the end how much perplexity
changed at most. The first engine is the one that the others are compared with. Progress goes to
standard error. With the default numbers of examples it takes some ten minutes of one core.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from statistics import mean
from zlib import crc32

import torch

from openmmb.checkpoint import SavedCheckpoint, find_checkpoint, open_checkpoint
from openmmb.data.batcher import Batcher
from openmmb.data.controls import plain_controls
from openmmb.data.draw import take_evenly
from openmmb.data.example import Example
from openmmb.engine.generate import generate
from openmmb.engine.open import Engine, open_engine
from openmmb.errors import OpenMMBError
from openmmb.eval.metrics import bleu4, f1
from openmmb.eval.perplexity import loss_of, perplexity_of
from openmmb.tasks.mixture import FeatureFolders, TaskConfig, open_batches, read_valid

ENGINES = ("fp32", "bf16", "int8")
TASKS = (
    "blended_skill_talk",
    "convai2",
    "empathetic_dialogues",
    "dailydialog",
    "topical_chat",
    "flickr8k",
    "image_chat",
)
BATCH = 10


@dataclass(frozen=True)
class Measured:
    """One engine on one data set."""

    perplexity: float
    replies: list[str]
    f1: float
    bleu4: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--features", type=Path)
    parser.add_argument("--models", nargs="*", default=["small", "tiny"])
    parser.add_argument("--engines", nargs="*", default=list(ENGINES))
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--examples", type=int, default=40, help="of each data set")
    parser.add_argument("--replies", type=int, default=8, help="of each data set")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tasks = _read(args.tasks, args.root, args.examples)
    for model in args.models:
        checkpoint = open_checkpoint(find_checkpoint(model))
        batcher = _batcher(checkpoint, tasks, args.root, args.features)
        found = {}
        for kind in args.engines:
            engine = open_engine(checkpoint, device="cpu", kind=kind)
            for task, examples in tasks.items():
                found[task, kind] = measure(engine, batcher, examples, args.replies)
                print(f"{model} {kind} {task}: {found[task, kind].perplexity:.3f}", file=sys.stderr)
            del engine
        print(f"\n{model}, {args.examples} examples and {args.replies} replies a data set\n")
        _print(found, list(tasks), args.engines)


def _read(names: Sequence[str], root: Path, count: int) -> dict[str, list[Example]]:
    """Read what is there of the data sets."""
    tasks: dict[str, list[Example]] = {}
    for name in names:
        try:
            tasks[name] = list(take_evenly(list(read_valid(TaskConfig(name=name), root)), count))
        except OpenMMBError as error:
            print(f"{name} left out: {error}")
    return {name: examples for name, examples in tasks.items() if examples}


def _batcher(
    checkpoint: SavedCheckpoint, tasks: dict[str, list[Example]], root: Path, features: Path | None
) -> Batcher:
    config = checkpoint.config
    return open_batches(
        chain.from_iterable(tasks.values()),
        root=root,
        tokenizer=checkpoint.tokenizer,
        encode=config.encode,
        controls=plain_controls(gender=config.gender is not None),
        seed=0,
        features=FeatureFolders(
            encoder=config.encoder,
            image_shape=(config.model.image_vectors, config.model.image_dim),
            plain=None if features is None else str(features),
        ),
    )


def measure(
    engine: Engine, batcher: Batcher, examples: Sequence[Example], replies: int
) -> Measured:
    """Measure one engine on one data set."""
    tokenizer = batcher.tokenizer
    loss = loss_of(engine, start_id=tokenizer.start_id, banned_ids=tokenizer.unsaid_ids())
    rows = [batcher.row(one, 0) for one in examples]
    perplexity = perplexity_of(loss, batcher.batches(rows, batch_size=BATCH), engine.device)
    asked = take_evenly(examples, replies)
    said: list[str] = []
    for start in range(0, len(asked), BATCH):
        said += _reply(engine, batcher, asked[start : start + BATCH])
    people = [[one.reply, *one.references] for one in asked]
    return Measured(
        perplexity,
        said,
        mean(f1(mine, theirs) for mine, theirs in zip(said, people, strict=True)),
        mean(bleu4(mine, theirs) for mine, theirs in zip(said, people, strict=True)),
    )


def _reply(engine: Engine, batcher: Batcher, examples: Sequence[Example]) -> list[str]:
    """Let it answer as in a chat: with its own control, and the same draws in every engine."""
    asked = [replace(batcher.recognise(one), gender=engine.config.gender) for one in examples]
    images = [None if one.image_id is None else batcher.views[0](one.image_id) for one in asked]
    seeds = [crc32("\n".join(one.context).encode()) for one in asked]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    found = generate(engine, asked, images, engine.config.search, generators=generators)
    return [hypotheses[0].text for hypotheses in found]


def _print(
    found: dict[tuple[str, str], Measured], tasks: Sequence[str], engines: Sequence[str]
) -> None:
    print("| data set | engine | perplexity | change | same replies | F1 | BLEU-4 |")
    print("|---|---|---:|---:|---:|---:|---:|")
    changes: dict[str, list[float]] = {kind: [] for kind in engines}
    same: dict[str, list[bool]] = {kind: [] for kind in engines}
    for task in tasks:
        exact = found[task, engines[0]]
        for kind in engines:
            one = found[task, kind]
            changes[kind].append(one.perplexity / exact.perplexity - 1)
            same[kind] += map(str.__eq__, one.replies, exact.replies)
            print(
                f"| {task} | {kind} | {one.perplexity:.2f} | {changes[kind][-1]:+.2%} | "
                f"{sum(map(str.__eq__, one.replies, exact.replies))} of {len(one.replies)} | "
                f"{one.f1:.3f} | {one.bleu4:.3f} |"
            )
    for kind in engines:
        every = [found[task, kind] for task in tasks]
        print(
            f"| all | {kind} | | {min(changes[kind]):+.2%} to {max(changes[kind]):+.2%} | "
            f"{mean(same[kind]):.0%} | {mean(one.f1 for one in every):.3f} | "
            f"{mean(one.bleu4 for one in every):.3f} |"
        )


if __name__ == "__main__":
    main()
