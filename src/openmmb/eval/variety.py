"""How much a model's replies differ from each other."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from openmmb.eval.metrics import words

COMMONEST = 20
"""Replies whose share of all is measured: a model that always says the same scores well by other
measures."""


def distinct_2(replies: Sequence[str]) -> float:
    """Return the share of different pairs of neighbouring words among all pairs, 0 to 1.

    Li et al. 2016, "A Diversity-Promoting Objective Function": over all replies together. It falls
    with the number of replies, so compare it at equal numbers.
    """
    pairs = [pair for reply in replies for pair in pairwise(words(reply))]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def commonest_share(replies: Sequence[str]) -> float:
    """Return the share of replies that are one of the ``COMMONEST`` commonest, 0 to 1."""
    if not replies:
        return 0.0
    counts = Counter(" ".join(words(reply)) for reply in replies)
    return sum(count for _, count in counts.most_common(COMMONEST)) / len(replies)
