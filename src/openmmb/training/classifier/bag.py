"""A bag of words: the baseline that a classifier has to beat, learnt from the same texts.

Sizes: B texts, W buckets of words.
"""

import itertools
import re
import zlib
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmmb.tasks.labelled import Labelled

BUCKETS = 2**18
"""W: words and pairs of words are put into so many buckets by their hash."""
BATCH_SIZE = 256
EPOCHS = 3
UNSAFE_FROM = 0.5
"""Probability from which a text is refused."""

_WORD = re.compile(r"\w+|[^\w\s]")


def learn_bag(
    texts: Sequence[Labelled], *, seed: int = 0
) -> Callable[[Sequence[Labelled]], tuple[list[float], list[bool]]]:
    """Learn whether a text is unsafe by its words, its context's last turn among them.

    Returns:
        A function of texts: how likely each is unsafe, and whether it is refused.
    """
    torch.manual_seed(seed)
    bag = nn.EmbeddingBag(BUCKETS, 1, mode="mean")
    nn.init.zeros_(bag.weight)
    optimizer = torch.optim.Adagrad(bag.parameters(), lr=0.5)
    for _ in range(EPOCHS):
        order: list[int] = torch.randperm(len(texts)).tolist()
        for start in range(0, len(order), BATCH_SIZE):
            drawn = [texts[row] for row in order[start : start + BATCH_SIZE]]
            unsafe = torch.tensor([float(not text.safe) for text in drawn])
            loss = F.binary_cross_entropy_with_logits(_score(bag, drawn), unsafe)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    @torch.inference_mode()
    def judge(asked: Sequence[Labelled]) -> tuple[list[float], list[bool]]:
        scores: list[float] = _score(bag, asked).sigmoid().tolist() if asked else []
        return scores, [score >= UNSAFE_FROM for score in scores]

    return judge


def _score(bag: nn.EmbeddingBag, texts: Sequence[Labelled]) -> Tensor:
    """Texts -> logits (B,)."""
    ids = [_buckets(text) for text in texts]
    starts = torch.tensor([0, *(len(row) for row in ids)][:-1]).cumsum(0)
    scores: Tensor = bag(torch.tensor([bucket for row in ids for bucket in row]), starts)
    return scores[:, 0] * 10  # a mean of many words is small


def _buckets(text: Labelled) -> list[int]:
    words = _WORD.findall(text.text.lower())
    before = [f"<{word}" for turn in text.context[-1:] for word in _WORD.findall(turn.lower())]
    pairs = [f"{one} {other}" for one, other in itertools.pairwise(words)]
    return [zlib.crc32(word.encode()) % BUCKETS for word in ("<s>", *words, *pairs, *before)]
