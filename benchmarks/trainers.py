"""Trainers under one command, each in a process of its own, for ``train.py``.

    PYTHON trainers.py ENGINE JOB

ENGINE is ``openmmb``, ``transformers`` or ``parlai``; JOB is a JSON file of ``Job``'s fields. On
standard output it prints a line of JSON after every ``updates`` updates: what these took and how
many tokens they learnt from. Then it waits for a line on standard input. Only what its own engine
needs is imported, so PYTHON needs that engine and no other.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

END = 10**9
WARMUP = 2  # learning rate: constant after it; every engine accepts it


@dataclass(frozen=True)
class Job:
    """What every engine does.

    Attributes:
        folder: Where the data lie; the run may write there.
        embed_dim: D; with it the shape of the network, which has ``V`` = ``vocab_size``.
        precision: ``fp32`` or ``bf16`` (of the products; weights stay in fp32).
        updates: Between two lines.
        threads: Of the CPU.
    """

    folder: str
    embed_dim: int
    ffn_dim: int
    num_heads: int
    encoder_layers: int
    decoder_layers: int
    vocab_size: int
    max_length: int
    batch_size: int
    dropout: float
    lr: float
    max_grad_norm: float
    precision: str
    updates: int
    threads: int


class Meter:
    """Count updates and tokens, and take turns with the other engines."""

    def __init__(self, updates: int) -> None:
        self.updates = updates
        self.done = self.context = self.reply = self.places = 0
        self.answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # libraries print as they like
        self.started = time.perf_counter()

    def count(self, context: int, reply: int, places: int) -> None:
        """Add a batch: tokens of its contexts, of its replies, and places for either."""
        self.context += context
        self.reply += reply
        self.places += places

    def update(self) -> None:
        """An update is done."""
        self.done += 1
        if self.done % self.updates == 0:
            self.turn()

    def turn(self) -> None:
        """Tell what the last updates took, and wait to be called again."""
        line = {
            "seconds": time.perf_counter() - self.started,
            "context": self.context,
            "reply": self.reply,
            "places": self.places,
        }
        self.answers.write(f"{json.dumps(line)}\n")
        self.answers.flush()
        if not sys.stdin.readline():
            os._exit(0)  # in the middle of a run that was asked to go on for ever
        self.context = self.reply = self.places = 0
        self.started = time.perf_counter()


def openmmb(job: Job) -> None:
    """Run a recipe; the log's records, one every 10 updates, are the turns."""
    from openmmb.config import parse
    from openmmb.training.replies.config import Recipe
    from openmmb.training.replies.prepare import prepare
    from openmmb.training.run.log import Record
    from openmmb.training.run.update import LOG_EVERY
    from openmmb.training.train import train

    assert job.updates == LOG_EVERY
    folder = Path(job.folder)
    data: dict[str, Any] = {
        "name": "benchmark",
        "out": str(folder / f"openmmb-{job.precision}"),
        "start": str(folder / "checkpoint"),
        "tasks": [{"name": "jsonl"}],
        "precision": job.precision,
        "device": "cpu",
        "save_every_steps": END,
        "data": {"root": str(folder), "batch_size": job.batch_size},
        "encode": {"max_context": job.max_length, "max_reply": job.max_length},
        "model": {"dropout": job.dropout},
        "optim": {"name": "adamw", "lr": job.lr, "max_grad_norm": job.max_grad_norm},
        "schedule": {"kind": "constant", "warmup_steps": WARMUP, "max_steps": END},
        "valid": {"every_steps": END},
    }
    recipe = parse(Recipe, data)
    twin = prepare(recipe).loader  # its batches are the run's; counting them takes no time of it
    meter = Meter(job.updates)

    def watch(record: Record) -> None:
        if record["kind"] == "step":
            for step in range(int(record["step"]) - job.updates, int(record["step"])):
                batch = twin.batch(step)
                context, reply = int(batch.context_mask.sum()), int(batch.reply_mask.sum())
                meter.count(context, reply, batch.num_positions)
            meter.turn()

    train(recipe, watch=watch)


def transformers(job: Job) -> None:
    """Run its ``Trainer`` on a Blenderbot, rows of like length together."""
    import torch
    from transformers import (
        BlenderbotConfig,
        BlenderbotForConditionalGeneration,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    meter = Meter(job.updates)
    rows = []
    for context, reply in read_ids(job):
        mask = [1] * len(context)
        rows.append({"input_ids": context, "attention_mask": mask, "labels": reply})

    class Counting(Trainer):
        def training_step(self, model: Any, inputs: Any, *rest: Any) -> Any:
            mask, labels = inputs["attention_mask"], inputs["labels"]
            meter.count(int(mask.sum()), int((labels != -100).sum()), mask.numel() + labels.numel())
            return super().training_step(model, inputs, *rest)

    class Turns(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            meter.update()

    def pad(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        batch = {}
        for key, filler in (("input_ids", 0), ("attention_mask", 0), ("labels", -100)):
            longest = max(len(row[key]) for row in rows)
            full = [row[key] + [filler] * (longest - len(row[key])) for row in rows]
            batch[key] = torch.tensor(full)
        return batch

    model = BlenderbotForConditionalGeneration(
        BlenderbotConfig(
            vocab_size=job.vocab_size,
            d_model=job.embed_dim,
            encoder_ffn_dim=job.ffn_dim,
            decoder_ffn_dim=job.ffn_dim,
            encoder_attention_heads=job.num_heads,
            decoder_attention_heads=job.num_heads,
            encoder_layers=job.encoder_layers,
            decoder_layers=job.decoder_layers,
            max_position_embeddings=job.max_length,
            dropout=job.dropout,
            attention_dropout=0.0,
            activation_dropout=0.0,
            scale_embedding=True,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=1,
        )
    )
    arguments = TrainingArguments(
        output_dir=str(Path(job.folder) / "transformers"),
        per_device_train_batch_size=job.batch_size,
        max_steps=END,
        learning_rate=job.lr,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=WARMUP,
        max_grad_norm=job.max_grad_norm,
        bf16=job.precision == "bf16",
        train_sampling_strategy="group_by_length",
        save_strategy="no",
        logging_steps=job.updates,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    Counting(
        model=model,
        args=arguments,
        train_dataset=rows,
        data_collator=pad,
        callbacks=[Turns()],
    ).train()


def parlai(job: Job) -> None:
    """Run its training loop on its generator, rows of like length together."""
    assert job.precision == "fp32", "on a CPU it has no other"
    import torch
    from parlai.scripts.train_model import TrainLoop, setup_args

    meter = Meter(job.updates)
    folder = Path(job.folder)
    options = {
        "task": "fromfile:parlaiformat",
        "fromfile_datapath": str(folder / "parlai"),
        "fromfile_datatype_extension": True,
        "datapath": str(folder / "parlai_data"),
        "model": "transformer/generator",
        "dict_file": str(folder / "parlai.dict"),
        "dict_tokenizer": "split",
        "embedding_size": job.embed_dim,
        "ffn_size": job.ffn_dim,
        "n_heads": job.num_heads,
        "n_encoder_layers": job.encoder_layers,
        "n_decoder_layers": job.decoder_layers,
        "n_positions": job.max_length,
        "text_truncate": job.max_length,
        "label_truncate": job.max_length,
        "learn_positional_embeddings": True,
        "variant": "prelayernorm",
        "activation": "gelu",
        "dropout": job.dropout,
        "history_add_global_end_token": "end",
        "batchsize": job.batch_size,
        "dynamic_batching": "batchsort",
        "optimizer": "adamw",
        "learningrate": job.lr,
        "lr_scheduler": "none",  # the usual one is broken with this torch
        "gradient_clip": job.max_grad_norm,
        "skip_generation": True,
        "no_cuda": True,
        "log_every_n_steps": job.updates,
        "max_train_steps": END,
        "validation_every_n_secs": END,
    }
    loop = TrainLoop(setup_args().parse_kwargs(**options))
    learn, parley = loop.agent.train_step, loop.world.parley

    def train_step(batch: Any) -> Any:
        context, reply = batch.text_vec != 0, batch.label_vec != 0
        places = context.numel() + reply.numel()
        meter.count(int(context.sum()), int(reply.sum()), places)
        return learn(batch)

    def turn() -> None:
        parley()
        meter.update()

    loop.agent.train_step, loop.world.parley = train_step, turn
    torch.set_num_threads(job.threads)
    for _ in loop.train_steps():
        pass


def read_ids(job: Job) -> list[tuple[list[int], list[int]]]:
    """Read contexts and replies as ids, each with its end token, 2; words begin at id 10."""
    rows = json.loads((Path(job.folder) / "rows.json").read_text(encoding="utf-8"))
    return [([*context, 2], [*reply, 2]) for context, reply in rows]


ENGINES: dict[str, Callable[[Job], None]] = {
    "openmmb": openmmb,
    "transformers": transformers,
    "parlai": parlai,
}


def main() -> None:
    """Run the engine that the command line names."""
    import torch

    data = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    job = Job(**{field.name: data[field.name] for field in fields(Job)})
    torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    ENGINES[sys.argv[1]](job)


if __name__ == "__main__":
    main()
