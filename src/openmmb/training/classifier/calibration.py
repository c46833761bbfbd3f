"""Thresholds of a classifier, chosen on texts that it did not learn from.

Sizes: B texts, C labels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from openmmb.safety.verdict import Side
from openmmb.tasks.labelled import ANSWERABLE, LABELS, OFFENSIVE, SPOKEN

CANDIDATES = tuple(number / 100 for number in range(20, 100))
"""Thresholds to choose from."""
UNTESTED = 0.9
"""Threshold of a label that no text to choose on has."""
SIDES: dict[Side, tuple[str, ...]] = {
    "person": tuple(label for label in SPOKEN if label != OFFENSIVE),
    "bot": tuple(label for label in LABELS if label in ANSWERABLE and label != "danger"),
    "frame": tuple(label for label in SPOKEN if label != OFFENSIVE),
}
"""Labels that refuse a text, by who would say it. A person's swearing is left to the lists, since
what offends in a tweet is no harm to a program; no reply asks for dangerous advice."""


def label_loss(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Return minus the log of the probability of what is known of a text, for each text.

    Args:
        logits: (B, C).
        labels: (B, C) bool, True at the labels that a text has.
        known: (B, C) bool, True at those of which that is known.

    Returns:
        (B,).
    """
    losses = F.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="none")
    return (losses * known).sum(1)


def choose_thresholds(
    scores: Tensor, labels: Tensor, known: Tensor, talk: Tensor, bot: Tensor, *, share: float
) -> dict[Side, dict[str, float]]:
    """Choose thresholds, for each label that with the best F1 among those that refuse little talk.

    Args:
        scores: (B, C), how likely a text has each label.
        labels: (B, C) bool, whether it has.
        known: (B, C) bool, whether that is known.
        talk: (B,) bool, whether it is ordinary talk.
        bot: (B,) bool, whether the bot says it. Those of persons and frames are chosen on what
            persons say, those of the bot on what it says.
        share: Share of ordinary talk that may be refused by all labels of a side together.

    Returns:
        By side and label, multiples of 0.01.
    """
    chosen: dict[Side, dict[str, float]] = {}
    for side, of_side in SIDES.items():
        own = bot if side == "bot" else ~bot
        columns = {label: LABELS.index(label) for label in of_side}
        chosen[side] = {
            label: _choose(
                scores[own, at],
                labels[own, at],
                known[own, at],
                talk[own],
                share=share / len(of_side),
            )
            for label, at in columns.items()
        }
    return chosen


def macro_f1(refused: Sequence[bool], unsafe: Sequence[bool]) -> float:
    """Return the mean of the F1 of what is unsafe and of what is safe."""
    told, true = torch.tensor(refused), torch.tensor(unsafe)
    return (_f1(told, true) + _f1(~told, ~true)) / 2


def _choose(scores: Tensor, has: Tensor, known: Tensor, talk: Tensor, *, share: float) -> float:
    asked = known & ~talk
    if not (has & asked).any():
        return UNTESTED
    best, chosen = -1.0, CANDIDATES[-1]
    for threshold in CANDIDATES:
        told = scores >= threshold
        if talk.any() and told[talk].double().mean().item() > share:
            continue
        f1 = _f1(told[asked], has[asked])
        if f1 > best:
            best, chosen = f1, threshold
    return chosen


def _f1(told: Tensor, true: Tensor) -> float:
    hits = (told & true).sum().item()
    return 2 * hits / max(1, told.sum().item() + true.sum().item())
