"""Calibration of a classifier, on texts that it did not learn from.

Sizes: B texts, C labels, D width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CANDIDATES = tuple(number / 100 for number in range(5, 100))
"""Thresholds to choose from."""


@dataclass(frozen=True)
class Calibration:
    """How the logits are changed.

    Attributes:
        temperature: Divides the logits.
        shift: Is then added to those of the safe labels.
    """

    temperature: float
    shift: float


def label_loss(logits: Tensor, allowed: Tensor) -> Tensor:
    """Return minus the log of the probability that a text has one of its labels, for each text.

    Args:
        logits: (B, C).
        allowed: (B, C) bool, True at what the text may be, at least one a row.

    Returns:
        (B,).
    """
    log_probs = logits.float().log_softmax(-1)
    return -log_probs.masked_fill(~allowed, float("-inf")).logsumexp(-1)


def calibrate(logits: Tensor, allowed: Tensor, weights: Tensor, safe: Tensor) -> Calibration:
    """Find the temperature and the shift under which the labels are likeliest (Guo et al. 2017).

    Args:
        logits: (B, C), for texts that were not learnt from.
        allowed: (B, C) bool, True at what the text may be.
        weights: (B,), how much each text counts.
        safe: (C,) bool, True at labels that are safe.
    """
    free = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([free], max_iter=100, line_search_fn="strong_wolfe")
    logits = logits.double()

    def closure() -> Tensor:
        optimizer.zero_grad()
        changed = logits * free[0].exp() + free[1] * safe
        log_probs = F.log_softmax(changed, -1)
        likely = log_probs.masked_fill(~allowed, float("-inf")).logsumexp(-1)
        loss = -(weights * likely).sum() / weights.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    scale, shift = free.detach().tolist()
    return Calibration(temperature=float(torch.tensor(-scale).exp()), shift=shift)


def apply_to_head(head: nn.Linear, calibration: Calibration, safe: Tensor) -> nn.Linear:
    """Return a head whose logits are calibrated, so that nothing has to be done to them later.

    Args:
        head: (D) -> (C).
        calibration: How to change its logits.
        safe: (C,) bool, True at labels that are safe.
    """
    changed = nn.Linear(head.in_features, head.out_features)
    with torch.no_grad():
        changed.weight.copy_(head.weight / calibration.temperature)
        changed.bias.copy_(head.bias / calibration.temperature + calibration.shift * safe)
    return changed


def choose_threshold(
    scores: Tensor, unsafe: Tensor, source: Tensor, talk: Tensor, *, share: float
) -> float:
    """Choose the threshold with the best mean F1 among those that refuse little ordinary talk.

    Args:
        scores: (B,), how likely each text is unsafe.
        unsafe: (B,) bool, whether it is.
        source: (B,) int64, the number of its data set.
        talk: (B,) bool, whether it is ordinary talk, which is not in the mean.
        share: Share of ordinary talk that may be refused.

    Returns:
        A multiple of 0.01; the highest, 0.99, if every one refuses too much.
    """
    labelled = sorted(set(source[~talk].tolist()))
    best, chosen = -1.0, CANDIDATES[-1]
    for threshold in CANDIDATES:
        refused = scores >= threshold
        if refused[talk].double().mean().item() > share:
            continue
        f1 = [_f1(refused[source == one], unsafe[source == one]) for one in labelled]
        if sum(f1) > best:
            best, chosen = sum(f1), threshold
    return chosen


def _f1(refused: Tensor, unsafe: Tensor) -> float:
    hits = (refused & unsafe).sum().item()
    return 2 * hits / max(1, refused.sum().item() + unsafe.sum().item())
