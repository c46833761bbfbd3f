"""How fast networks learn, beside Hugging Face's `transformers` and ParlAI, as a Markdown table.

Every engine trains the same shape of network, without pictures, on the same contexts and replies,
by its own trainer with its own way of putting rows of like length together. What counts is tokens
of contexts and replies a second, padding left out, over whole updates: making the batch, forward,
backward, clipping, AdamW, log. The engines take turns, ten updates each, so that a busy moment of
the machine meets all of them; medians are compared. The share of the peak is that of useful
products (6 a weight and token) in what one large matrix product reaches, measured in between.

    python benchmarks/train.py --transformers-python PYTHON --parlai-python PYTHON

PYTHON is the interpreter of an environment with the peer; docs/performance.md says how to make
one. An engine that is not given is left out.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import tokenizers
import torch

from openmmb.checkpoint import Checkpoint, CheckpointConfig, save_checkpoint
from openmmb.data.encode import EncodeConfig
from openmmb.model.config import SIZES, ModelConfig
from openmmb.model.seq2seq import Seq2Seq
from openmmb.search.config import SearchConfig
from openmmb.text.tokenizer import SPECIALS, UNKNOWN, Tokenizer

TRAINERS = Path(__file__).with_name("trainers.py")
RUNS = (
    ("openmmb", "bf16"),
    ("transformers", "bf16"),
    ("openmmb", "fp32"),
    ("transformers", "fp32"),
    ("parlai", "fp32"),
)
"""Engines and precisions; ParlAI has no other on a CPU."""
UPDATES = 10
"""Of a turn."""
MAX_LENGTH = 128
"""Most tokens of a context or a reply."""
PEAK_SIDE, PEAK_TIMES = 1024, 20


@dataclass
class Engine:
    """A trainer that goes on when it is told to.

    Attributes:
        name: Which one.
        precision: Of its products.
        process: The process.
        turns: What it told after each turn.
    """

    name: str
    precision: str
    process: subprocess.Popen[str]
    turns: list[dict[str, float]] = field(default_factory=list)

    def go(self) -> None:
        """Let it make some updates and wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.turns.append(self.answer())

    def answer(self) -> dict[str, float]:
        """Read what the updates at hand took."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: ended with code {self.process.wait()}")
        answer: dict[str, float] = json.loads(line)
        return answer


def main() -> None:
    """Measure every engine and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transformers-python", type=Path)
    parser.add_argument("--parlai-python", type=Path)
    parser.add_argument("--size", choices=sorted(SIZES), default="tiny")
    parser.add_argument("--embed-dim", type=int, help="another width, a multiple of 64")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--errors", action="store_true", help="show what the engines complain of")
    args = parser.parse_args()
    pythons = {
        "openmmb": Path(sys.executable),
        "transformers": args.transformers_python,
        "parlai": args.parlai_python,
    }
    torch.set_num_threads(args.threads)
    shape = shape_of(args)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_data(folder, shape)
        engines = [
            start(stack, name, precision, python, folder, shape, args)
            for name, precision in RUNS
            if (python := pythons[name]) is not None
        ]
        peaks: dict[str, list[float]] = {"bf16": [], "fp32": []}
        for number in range(args.rounds):
            for engine in engines:
                engine.go()
            for precision, found in peaks.items():
                found.append(peak(precision))
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr, flush=True)
    print(f"{args.threads} threads, {args.rounds} rounds of {UPDATES} updates, batches of")
    print(f"{args.batch_size}, {count_weights(shape) / 1e6:.0f}M weights\n")
    print(
        "| precision | engine | tokens/s | (lowest, highest) | times openmmb | padding | of peak |"
    )
    print("|---|---|---:|---:|---:|---:|---:|")
    for engine in engines:
        ours = next(e for e in engines if (e.name, e.precision) == ("openmmb", engine.precision))
        print(row_of(engine, ours, shape, median(peaks[engine.precision])))


def shape_of(args: argparse.Namespace) -> ModelConfig:
    """Return the network's shape, with room for one picture vector that nothing uses."""
    size = SIZES[args.size]
    width = args.embed_dim or size.embed_dim
    return ModelConfig(
        vocab_size=size.vocab_size,
        embed_dim=width,
        ffn_dim=4 * width,
        num_heads=width // 64,
        num_encoder_layers=size.num_encoder_layers,
        num_decoder_layers=size.num_decoder_layers,
        num_positions=MAX_LENGTH,
        learned_positions=True,
        image_vectors=1,
        image_dim=1,
    )


def start(
    stack: ExitStack,
    name: str,
    precision: str,
    python: Path,
    folder: Path,
    shape: ModelConfig,
    args: argparse.Namespace,
) -> Engine:
    """Start a trainer and let it warm up."""
    job = {
        "folder": str(folder),
        "embed_dim": shape.embed_dim,
        "ffn_dim": shape.ffn_dim,
        "num_heads": shape.num_heads,
        "encoder_layers": shape.num_encoder_layers,
        "decoder_layers": shape.num_decoder_layers,
        "vocab_size": shape.vocab_size,
        "max_length": MAX_LENGTH,
        "batch_size": args.batch_size,
        "dropout": shape.dropout,
        "lr": 1e-4,
        "max_grad_norm": 1.0,
        "precision": precision,
        "updates": UPDATES,
        "threads": args.threads,
    }
    path = folder / f"{name}-{precision}.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    process = subprocess.Popen(
        [str(python), str(TRAINERS), name, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if args.errors else subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(args.threads), "CUDA_VISIBLE_DEVICES": ""},
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    engine = Engine(name, precision, process)
    engine.answer()
    return engine


def write_data(folder: Path, shape: ModelConfig, *, examples: int = 20_000) -> None:
    """Write the same examples as every engine wants them: words without meaning.

    Lengths are like those of conversations: contexts of about 45 tokens, replies of about 14, few
    of them several times as long. A word is a token.
    """
    chance = random.Random(0)
    words = [f"w{number}" for number in range(shape.vocab_size - len(SPECIALS))]
    rows = []
    for _ in range(examples):
        lengths = (_length(chance, 45, 0.7), _length(chance, 14, 0.5))
        rows.append([[int(len(words) * chance.random() ** 3) for _ in range(n)] for n in lengths])
    texts = [[" ".join(words[word] for word in side) for side in row] for row in rows]
    ids = [[[word + len(SPECIALS) for word in side] for side in row] for row in rows]
    (folder / "rows.json").write_text(json.dumps(ids), encoding="utf-8")
    lines = [
        json.dumps({"turns": [{"speaker": s, "text": t} for s, t in zip("ab", row, strict=True)]})
        for row in texts
    ]
    (folder / "jsonl").mkdir()
    for split, part in (("train", lines), ("valid", lines[:2])):
        path = folder / "jsonl" / f"{split}.jsonl"
        path.write_text("".join(f"{line}\n" for line in part), encoding="utf-8")
    parlai = "".join(f"text:{a}\tlabels:{b}\tepisode_done:True\n" for a, b in texts)
    for split in ("train", "valid"):
        (folder / f"parlai_{split}.txt").write_text(parlai, encoding="utf-8")
    filler = [f"unused{number}" for number in range(len(SPECIALS) - 4)]
    counted = ["__null__", "__start__", "__end__", "__unk__", *words, *filler]
    entries = "".join(f"{word}\t{10**6 - at}\n" for at, word in enumerate(counted))
    (folder / "parlai.dict").write_text(entries, encoding="utf-8")
    write_checkpoint(folder / "checkpoint", words, shape)


def write_checkpoint(folder: Path, words: list[str], shape: ModelConfig) -> None:
    """Write a network with random weights whose vocabulary is those words."""
    ids = {token: at for at, token in enumerate((*SPECIALS, *words))}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, unk_token=UNKNOWN))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    inner.add_special_tokens(list(SPECIALS))
    config = CheckpointConfig(
        name="benchmark",
        encoder="efficientnet_lite0",
        model=shape,
        encode=EncodeConfig(max_context=MAX_LENGTH, max_reply=MAX_LENGTH),
        search=SearchConfig(),
    )
    torch.manual_seed(0)
    made = Checkpoint(config=config, model=Seq2Seq(shape), tokenizer=Tokenizer(inner))
    made.model.initialise()
    save_checkpoint(made, folder, precision="fp32")


def peak(precision: str) -> float:
    """Return the products a second, in thousand millions times two, of one large matrix product."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = torch.randn(2, PEAK_SIDE, PEAK_SIDE).to(dtype)
    one @ other
    started = time.perf_counter()
    for _ in range(PEAK_TIMES):
        one @ other
    return 2 * PEAK_SIDE**3 * PEAK_TIMES / (time.perf_counter() - started) / 1e9


def row_of(engine: Engine, ours: Engine, shape: ModelConfig, peak_gflops: float) -> str:
    """Return the table's row of an engine."""
    rates = [(turn["context"] + turn["reply"]) / turn["seconds"] for turn in engine.turns]
    our_rates = [(turn["context"] + turn["reply"]) / turn["seconds"] for turn in ours.turns]
    tokens = sum(turn["context"] + turn["reply"] for turn in engine.turns)
    padding = 1 - tokens / sum(turn["places"] for turn in engine.turns)
    gflops = median(useful_gflop(turn, shape) / turn["seconds"] for turn in engine.turns)
    return (
        f"| {engine.precision} | {engine.name} | {median(rates):,.0f} | {min(rates):,.0f}, "
        f"{max(rates):,.0f} | {median(rates) / median(our_rates):.2f} | {padding:.1%} | "
        f"{gflops / peak_gflops:.0%} |"
    )


def useful_gflop(turn: dict[str, float], shape: ModelConfig) -> float:
    """Return what the linear layers must compute for the tokens of a turn, there and back."""
    square, ffn = shape.embed_dim**2, 2 * shape.embed_dim * shape.ffn_dim
    encoder = shape.num_encoder_layers * (4 * square + ffn)
    cross = shape.num_decoder_layers * 2 * square  # keys and values of the encoder's states
    decoder = shape.num_decoder_layers * (6 * square + ffn) + shape.vocab_size * shape.embed_dim
    products = turn["context"] * (encoder + cross) + turn["reply"] * decoder
    return 6 * products / 1e9


def count_weights(shape: ModelConfig) -> int:
    """Return how many weights a network of that shape has."""
    with torch.device("meta"):
        return Seq2Seq(shape).num_parameters()


def _length(chance: random.Random, middle: float, spread: float) -> int:
    return min(MAX_LENGTH - 1, max(1, round(middle * chance.lognormvariate(0, spread))))


if __name__ == "__main__":
    main()
