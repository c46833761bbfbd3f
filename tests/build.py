"""Small things of every kind, made on the spot: the real classes, never stand-ins.

Sizes: I image vectors, F features in each.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import tokenizers
import torch
from PIL import Image
from tokenizers import decoders, models, pre_tokenizers, trainers
from torch import Tensor

from openmmb.checkpoint import Checkpoint, CheckpointConfig
from openmmb.data.encode import EncodeConfig
from openmmb.data.example import Example
from openmmb.engine.open import Engine, open_engine
from openmmb.model.config import Fusion, ModelConfig, Variant
from openmmb.model.network import Memory
from openmmb.model.seq2seq import Seq2Seq, States
from openmmb.search.config import SearchConfig
from openmmb.text.adopted import adopt_tokenizer
from openmmb.text.tokenizer import END, PAD, START, Tokenizer, train_tokenizer
from openmmb.vision.features.extract import extract
from openmmb.vision.object_words import ObjectWord
from tests.tasks.build import BUILD

SENTENCES = (
    "Two dogs run along the beach.",
    "A girl in a red coat looks at the boats.",
    "I have never been on a boat, have you?",
    "Yes, my father taught me how to sail.",
    "What do you like to eat after a long run?",
    "i like bread and cheese .",
)
TINY_I, TINY_F = 4, 8
"""Shape of the image vectors of ``TinyEncoder``."""
PERSONALITIES = {
    "positive": ["Sweet"],
    "neutral": ["Formal (Proper)"],
    "negative": ["Angry"],
}
PICTURES = ("11_aa", "22_bb", "f00d", "beef")
"""Image ids of what ``write_tiny_data`` writes."""


@cache
def tiny_tokenizer() -> Tokenizer:
    """About 300 tokens: every byte, the specials, and the commonest pairs of ``SENTENCES``."""
    return train_tokenizer(SENTENCES, vocab_size=300)


@cache
def tiny_chat_tokenizer() -> Tokenizer:
    """The same as an adopted vocabulary, with the marks of a decoder-only network's turns."""
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(SENTENCES, trainer)
    roles = {PAD: "<|endoftext|>", START: "<|im_start|>", END: "<|im_end|>"}
    return adopt_tokenizer(inner.to_str(), roles, source="tiny")


def tiny_config(
    *,
    vocab_size: int | None = None,
    fusion: Fusion = "early",
    variant: Variant = "prelayernorm",
    activation: Literal["gelu", "relu"] = "gelu",
    learned_positions: bool = False,
    num_segments: int = 2,
    num_positions: int = 64,
    image_vectors: int = TINY_I,
    image_dim: int = TINY_F,
    image_layers: int = 1,
    output_scaling: float = 1.0,
    dropout: float = 0.0,
) -> ModelConfig:
    """Two layers each way, 16 wide; the vocabulary is that of ``tiny_tokenizer``."""
    return ModelConfig(
        vocab_size=tiny_tokenizer().vocab_size if vocab_size is None else vocab_size,
        embed_dim=16,
        ffn_dim=32,
        num_heads=2,
        num_encoder_layers=2,
        num_decoder_layers=2,
        num_positions=num_positions,
        learned_positions=learned_positions,
        variant=variant,
        activation=activation,
        output_scaling=output_scaling,
        num_segments=num_segments,
        fusion=fusion,
        image_vectors=image_vectors,
        image_dim=image_dim,
        image_layers=image_layers,
        dropout=dropout,
    )


def tiny_model(config: ModelConfig | None = None, *, seed: int = 0) -> Seq2Seq:
    """An untrained network in evaluation mode; the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Seq2Seq(tiny_config() if config is None else config).eval()
        model.initialise()
        return model


def states_of(memory: Memory) -> States:
    """What the encoder of a ``Seq2Seq`` has read."""
    assert isinstance(memory, States)
    return memory


def tiny_checkpoint(
    *,
    encoder: str = "efficientnet_lite0",
    image_vectors: int = 49,
    image_dim: int = 1280,
    search: SearchConfig | None = None,
    gender: str | None = None,
    image_style: str | None = None,
) -> Checkpoint:
    """An untrained model that fits the default picture encoder; its replies are noise."""
    model = tiny_config(image_vectors=image_vectors, image_dim=image_dim)
    config = CheckpointConfig(
        name="tiny",
        encoder=encoder,
        model=model,
        encode=EncodeConfig(max_context=48, max_pinned=24, max_reply=24),
        search=search or SearchConfig(beam_size=2, min_length=2, max_length=12),
        gender=gender,
        image_style=image_style,
    )
    return Checkpoint(config=config, model=tiny_model(model), tokenizer=tiny_tokenizer())


def plain_engine(checkpoint: Checkpoint) -> Engine:
    """What answers with the very weights of ``checkpoint``: changing them changes its replies."""
    return open_engine(checkpoint, device="cpu", kind="plain")


def tiny_image(*, width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    """A blurred RGB pattern; another seed gives another one."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def tiny_example(
    *,
    context: tuple[str, ...] = ("Have you ever been on a boat?",),
    reply: str = "Yes, my father taught me how to sail.",
    image_id: str | None = None,
    references: tuple[str, ...] = (),
    persona: tuple[str, ...] = (),
    style: str | None = None,
    task: str = "tiny",
    conversation: str = "train:0",
) -> Example:
    """One reply in its context."""
    return Example(
        context=context,
        reply=reply,
        task=task,
        conversation=conversation,
        image_id=image_id,
        references=references,
        persona=persona,
        style=style,
    )


def write_tiny_data(root: Path) -> None:
    """Write convai2, dailydialog, flickr8k and image_chat as published; valid is train again."""
    for name in ("convai2", "dailydialog", "flickr8k", "image_chat"):
        BUILD[name](root)
        for path in sorted((root / name).glob("*train*")):
            shutil.copy(path, path.with_name(path.name.replace("train", "valid")))
    personalities = root / "image_chat" / "personalities.json"
    personalities.write_text(json.dumps(PERSONALITIES), encoding="utf-8")


@dataclass(frozen=True)
class TinyEncoder:
    """A picture encoder without weights: the colours of four stripes."""

    name: str = "tiny"
    num_vectors: int = TINY_I
    feature_dim: int = TINY_F
    fingerprint: str = "stripes"
    has_words: bool = False

    def words(self, vectors: Tensor) -> tuple[ObjectWord, ...]:
        """Say nothing."""
        return ()

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """Pictures -> (B, I, F), from 0 to 1."""
        small = [np.asarray(image.resize((TINY_F, TINY_I)).convert("L")) for image in images]
        return torch.tensor(np.stack(small), dtype=torch.float32) / 255


def tiny_features(folder: Path, image_ids: Sequence[str] = PICTURES) -> Path:
    """Write image vectors of one made-up picture an id, beside the pictures themselves.

    Returns:
        The folder of features, for a recipe's ``data.features``.
    """
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    for seed, image_id in enumerate(image_ids):
        tiny_image(seed=seed).save(pictures / f"{image_id}.png")
    extract(TinyEncoder(), [pictures], folder / "features")
    return folder / "features"


def run_script(script: Path, *args: str, processes: int = 1) -> None:
    """Run a script of a test's own, under ``torchrun`` if there is to be more than one of it."""
    many = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    done = subprocess.run(
        [sys.executable, *(many if processes > 1 else []), str(script), *args],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
