"""Align a picture projector with the words of a language model, before the run learns anything.

A language model that has never seen a picture knows words. A projector whose vectors already point
at the words that people use of a picture is understood from the first update; one that is drawn at
random takes a small run most of its time to become that. So the projector alone is fitted first:
the mean of a picture's projected vectors, multiplied by the word vectors, has to predict which
words its captions have. No layer of the network takes part, so it is a matter of seconds.

Sizes: P pictures, I image vectors, F features in each, D model width, W words of the captions.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from openmmb.config import config, require
from openmmb.data.batcher import ImageVectors
from openmmb.data.example import Example
from openmmb.errors import ConfigError, DataError
from openmmb.model.fusion import ImageProjector
from openmmb.model.network import TrainableNetwork
from openmmb.text.tokenizer import Tokenizer


@config
class AlignConfig:
    """Fitting the picture projector to the words of captions, before the run."""

    steps: int = 0
    """Updates of the fit. 0: the projector is left as it is. Its weights are drawn anew otherwise,
    so this is for a start that has not learnt pictures yet."""
    batch_size: int = 64
    """Pictures in an update."""
    lr: float = 1e-3
    """Learning rate at the first update; it falls to nothing."""
    weight_decay: float = 0.05
    """Weight decay of the projector's weights."""

    min_pictures: int = 3
    """A word counts when the captions of so many pictures have it."""

    def __post_init__(self) -> None:
        require("steps", self.steps, "at least 0", holds=self.steps >= 0)
        require("batch_size", self.batch_size, "at least 1", holds=self.batch_size >= 1)
        require("lr", self.lr, "above 0", holds=self.lr > 0)
        require("weight_decay", self.weight_decay, "at least 0", holds=self.weight_decay >= 0)
        require("min_pictures", self.min_pictures, "at least 1", holds=self.min_pictures >= 1)


@dataclass(frozen=True)
class CaptionWords:
    """What captions say of pictures.

    Attributes:
        means: (P, F), the mean of each picture's vectors.
        shares: (P, W), how the words of a picture's captions are shared out; rows add up to 1.
        token_ids: (W,), the token that each word begins with.
    """

    means: Tensor
    shares: Tensor
    token_ids: Tensor


def align(
    model: TrainableNetwork,
    examples: Iterable[Example],
    vectors: ImageVectors,
    tokenizer: Tokenizer,
    settings: AlignConfig,
    seed: int,
) -> None:
    """Fit the projector of ``model`` to what the captions among ``examples`` say.

    Its vectors are as long as word vectors in the end.

    Args:
        model: With weights, on the CPU; nothing but its projector changes.
        examples: Those that are learnt from; what is no caption is passed over.
        vectors: The vectors (I, F) of a picture.
        tokenizer: Its vocabulary.
        settings: How long and how fast.
        seed: Of all draws.

    Raises:
        ConfigError: The projector is not one linear map that makes one state of each vector.
        DataError: There are no captions, or no word is in those of enough pictures.
    """
    linear = _linear(model)
    words = read_words(examples, vectors, tokenizer, settings.min_pictures)
    table = model.embeddings.weight.detach()[words.token_ids].float()
    generator = torch.Generator().manual_seed(seed)
    weight, bias = fit(words, table, settings, generator)
    length = (words.means @ weight.T + bias).norm(dim=1).mean()
    scale = table.norm(dim=1).mean() / length
    with torch.no_grad():
        linear.weight.copy_(weight * scale)
        linear.bias.copy_(bias * scale)


def read_words(
    examples: Iterable[Example], vectors: ImageVectors, tokenizer: Tokenizer, min_pictures: int
) -> CaptionWords:
    """Gather what captions say of each picture: replies to a picture alone, in no style.

    Raises:
        DataError: There are no captions, or no word is in those of ``min_pictures`` pictures.
    """
    counts: dict[str, Counter[int]] = {}
    for example in examples:
        if example.image_id is None or example.context or example.style is not None:
            continue
        counter = counts.setdefault(example.image_id, Counter())
        for caption in (example.reply, *example.references):
            counter.update(_word_ids(caption, tokenizer))
    pictures = Counter(token for counter in counts.values() for token in counter)
    known = {token for token, number in pictures.items() if number >= min_pictures}
    counts = {image_id: counter for image_id, counter in counts.items() if known & counter.keys()}
    if not counts:
        raise DataError(
            f"align.steps: no word is in the captions of {min_pictures} pictures; add a task with "
            "captions, or set align.steps = 0"
        )
    token_ids = sorted(known)
    return CaptionWords(
        means=torch.stack([vectors(image_id).mean(0) for image_id in counts]),
        shares=_shares(counts, token_ids),
        token_ids=torch.tensor(token_ids),
    )


def fit(
    words: CaptionWords, table: Tensor, settings: AlignConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Fit a linear map from features to word vectors.

    A bias a word takes up how common it is, so that the map learns only what pictures tell.

    Args:
        words: What is to be predicted.
        table: (W, D), the vectors of the words.
        settings: How long and how fast.
        generator: Draws the first weights and the batches.

    Returns:
        Weight (D, F) and bias (D,).
    """
    weight = nn.Parameter(torch.empty(table.shape[1], words.means.shape[1]))
    nn.init.normal_(weight, std=0.005, generator=generator)
    bias = nn.Parameter(torch.zeros(table.shape[1]))
    common = nn.Parameter(words.shares.mean(0).clamp_min(1e-5).log())
    groups: list[dict[str, Any]] = [
        {"params": [weight, bias]},
        {"params": [common], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=settings.lr, betas=(0.9, 0.98), weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, settings.steps)
    with torch.enable_grad():
        for _ in range(settings.steps):
            rows = torch.randint(len(words.means), (settings.batch_size,), generator=generator)
            scores = functional.linear(words.means[rows], weight, bias) @ table.T + common
            loss = functional.cross_entropy(scores, words.shares[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return weight.detach(), bias.detach()


def _linear(model: TrainableNetwork) -> nn.Linear:
    projector = next((m for m in model.modules() if isinstance(m, ImageProjector)), None)
    if projector is None or len(projector.layers) > 1 or projector.num_states > 1:
        raise ConfigError(
            "align.steps: expected a network whose picture projector is one layer "
            "(image_layers = 1, image_tokens = 1); set align.steps = 0 for this one"
        )
    linear = projector.layers[0]
    assert isinstance(linear, nn.Linear)
    return linear


def _word_ids(caption: str, tokenizer: Tokenizer) -> set[int]:
    """Return the tokens that the caption's words begin with, as they stand inside a sentence."""
    words = set(re.findall(r"[^\W\d_]+", caption.lower()))
    return {tokenizer.encode(f" {word}")[0] for word in words}


def _shares(counts: Mapping[str, Counter[int]], token_ids: list[int]) -> Tensor:
    columns = {token: column for column, token in enumerate(token_ids)}
    shares = torch.zeros(len(counts), len(token_ids))
    for row, counter in enumerate(counts.values()):
        for token, number in counter.items():
            if token in columns:
                shares[row, columns[token]] = number
    return shares / shares.sum(1, keepdim=True)
