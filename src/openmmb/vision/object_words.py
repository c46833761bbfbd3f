"""Words for what a picture shows, as classifiers over its vectors name it.

Sizes: I image vectors, F features in each, C classes.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.files import read_text

NUM_WORDS: Final = 8
"""Most words a classifier gives a picture."""

IMAGENET: Final = Path(__file__).parent / "words" / "imagenet.txt"
"""Names of the 1,000 classes of ImageNet-1k."""


class ObjectWord(NamedTuple):
    """The name of something that a picture may show.

    Attributes:
        label: The name in English, of one or a few words.
        probability: How likely it is, 0 to 1: that the picture shows this more than anything else
            with a name, or that people would use the word of it.
    """

    label: str
    probability: float


class ObjectHead:
    """Names what a picture shows by the mean of its vectors.

    Args:
        weight: (C, F).
        bias: (C,).
        labels: Name of each class; classes of the same name count as one.
        exclusive: A picture is of one class; otherwise any of them may fit, each by itself.

    Raises:
        ValueError: There are more or fewer labels than classes.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, labels: Sequence[str], *, exclusive: bool = True
    ) -> None:
        if len(labels) != len(weight):
            raise ValueError(f"expected {len(weight)} labels, one a class, got {len(labels)}")
        self.weight, self.bias, self.exclusive = weight.float(), bias.float(), exclusive
        self._labels = list(dict.fromkeys(labels))
        numbers = {label: number for number, label in enumerate(self._labels)}
        self._classes = torch.tensor([numbers[label] for label in labels])

    def words(self, vectors: Tensor) -> tuple[ObjectWord, ...]:
        """Name what the picture of these vectors (I, F) shows, the likeliest first."""
        mean = vectors.detach().float().cpu().mean(0)
        scores = F.linear(mean, self.weight, self.bias)
        classes = scores.softmax(0) if self.exclusive else scores.sigmoid()  # (C,)
        labels = torch.zeros(len(self._labels)).index_add(0, self._classes, classes)
        top = labels.topk(min(NUM_WORDS, len(labels)))
        return tuple(
            ObjectWord(self._labels[number], probability)
            for probability, number in zip(top.values.tolist(), top.indices.tolist(), strict=True)
        )


def merge(*lists: Sequence[ObjectWord]) -> tuple[ObjectWord, ...]:
    """Put the words of several classifiers together, the likeliest first and each once."""
    likeliest: dict[str, ObjectWord] = {}
    for word in sorted(chain(*lists), key=lambda word: -word.probability):
        likeliest.setdefault(word.label, word)
    return tuple(likeliest.values())


def read_labels(path: Path) -> list[str]:
    """Read one name a line; lines that begin with ``#`` are left out.

    Raises:
        CheckpointError: The file cannot be read.
    """
    lines = read_text(path, error=CheckpointError).splitlines()
    return [line for line in lines if line and not line.startswith("#")]
