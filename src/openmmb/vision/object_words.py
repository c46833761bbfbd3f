"""Words for what a picture shows, as the classifier of its encoder names it.

Sizes: I image vectors, F features in each, C classes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.files import read_text

NUM_WORDS: Final = 5
"""Words a picture."""

IMAGENET: Final = Path(__file__).parent / "words" / "imagenet.txt"
"""Names of the 1,000 classes of ImageNet-1k."""


class ObjectWord(NamedTuple):
    """The name of something that a picture may show.

    Attributes:
        label: The name in English, of one or a few words.
        probability: How likely the picture shows this more than anything else with a name, 0 to 1.
    """

    label: str
    probability: float


class ObjectHead:
    """Names what a picture shows by the mean of its vectors.

    Args:
        weight: (C, F).
        bias: (C,).
        labels: Name of each class; classes of the same name count as one.

    Raises:
        ValueError: There are more or fewer labels than classes.
    """

    def __init__(self, weight: Tensor, bias: Tensor, labels: Sequence[str]) -> None:
        if len(labels) != len(weight):
            raise ValueError(f"expected {len(weight)} labels, one a class, got {len(labels)}")
        self._weight, self._bias = weight.float(), bias.float()
        self._labels = list(dict.fromkeys(labels))
        numbers = {label: number for number, label in enumerate(self._labels)}
        self._classes = torch.tensor([numbers[label] for label in labels])

    def words(self, vectors: Tensor) -> tuple[ObjectWord, ...]:
        """Name what the picture of these vectors (I, F) shows, the likeliest first."""
        mean = vectors.detach().float().cpu().mean(0)
        classes = F.linear(mean, self._weight, self._bias).softmax(0)  # (C,)
        labels = torch.zeros(len(self._labels)).index_add(0, self._classes, classes)
        top = labels.topk(min(NUM_WORDS, len(labels)))
        return tuple(
            ObjectWord(self._labels[number], probability)
            for probability, number in zip(top.values.tolist(), top.indices.tolist(), strict=True)
        )


def read_labels(path: Path) -> list[str]:
    """Read one name a line; lines that begin with ``#`` are left out.

    Raises:
        CheckpointError: The file cannot be read.
    """
    lines = read_text(path, error=CheckpointError).splitlines()
    return [line for line in lines if line and not line.startswith("#")]
