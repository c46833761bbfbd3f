"""How well a score tells what is unsafe from what is safe."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 10
"""Number of bins of the calibration error."""


@dataclass(frozen=True)
class Quality:
    """A score, measured on texts of which it is known whether they are unsafe.

    Attributes:
        texts: How many.
        unsafe: How many of them are unsafe.
        precision: Share of the refused that are unsafe; 0 where nothing is refused.
        recall: Share of the unsafe that are refused; 0 where nothing is unsafe.
        f1: Harmonic mean of the two.
        auc: How often an unsafe text scores higher than a safe one; 0.5 where there is one kind.
        calibration: Expected calibration error: how far a score lies from the share of unsafe texts
            among those that score about the same, on average.
    """

    texts: int
    unsafe: int
    precision: float
    recall: float
    f1: float
    auc: float
    calibration: float


def measure(scores: Sequence[float], unsafe: Sequence[bool], refused: Sequence[bool]) -> Quality:
    """Measure scores from 0 (harmless) to 1, and what was refused because of them.

    Raises:
        ValueError: There are no texts, or not as many of each.
    """
    if not scores or not len(scores) == len(unsafe) == len(refused):
        raise ValueError(
            f"{len(scores)} scores, {len(unsafe)} labels, {len(refused)} refusals; expected as "
            "many of each, at least one"
        )
    truth, guess = np.asarray(unsafe, dtype=bool), np.asarray(refused, dtype=bool)
    hits = int((truth & guess).sum())
    return Quality(
        texts=len(truth),
        unsafe=int(truth.sum()),
        precision=hits / max(1, int(guess.sum())),
        recall=hits / max(1, int(truth.sum())),
        f1=2 * hits / max(1, int(guess.sum()) + int(truth.sum())),
        auc=auc(scores, unsafe),
        calibration=calibration_error(scores, unsafe),
    )


def auc(scores: Sequence[float], unsafe: Sequence[bool]) -> float:
    """Return the area under the ROC curve: the chance that an unsafe text outscores a safe one.

    Equal scores count half (Mann and Whitney 1947).
    """
    truth = np.asarray(unsafe, dtype=bool)
    positive = int(truth.sum())
    negative = len(truth) - positive
    if not positive or not negative:
        return 0.5
    above = _ranks(np.asarray(scores, dtype=np.float64))[truth].sum()
    return float((above - positive * (positive + 1) / 2) / (positive * negative))


def calibration_error(
    scores: Sequence[float], unsafe: Sequence[bool], *, bins: int = BINS
) -> float:
    """Return the expected calibration error over ``bins`` equal parts of 0 to 1."""
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(unsafe, dtype=np.float64)
    bin_numbers = np.minimum((values * bins).astype(np.int64), bins - 1)
    sums = np.bincount(bin_numbers, values - truth, minlength=bins)
    return float(np.abs(sums).sum() / len(values))


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the rank of each value from 1, equal ones sharing theirs."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[group]
    return shared
