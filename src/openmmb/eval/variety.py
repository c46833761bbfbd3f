"""How much a model's replies differ from each other, and how far a single one would come."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from openmmb.eval.metrics import f1, words

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


def best_constant(known: Sequence[str], replies: Sequence[str]) -> str:
    """Return the one of ``known`` that has most in common with all of ``replies``, by mean F1.

    A model that is worth its name has a higher F1 than whoever always says this.

    Raises:
        ValueError: There is nothing to choose from, or nothing to compare with.
    """
    if not known or not replies:
        raise ValueError(f"{len(known)} replies to choose from, {len(replies)} to compare with")
    return max(dict.fromkeys(known), key=lambda text: sum(f1(text, [one]) for one in replies))
