"""Which rows are padded together."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

EDGE = 8
"""A cut leaves at least an eighth on either side, so that many rows take few rounds of cuts."""


def buckets(lengths: npt.NDArray[np.int64], size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Divide rows into groups of ``size`` that pad little; one group may be smaller.

    Rows are cut in two, and each half again, where that saves the most padding: among all cuts
    that fall between groups when the rows are sorted by one of their lengths. Sorting by one
    number alone, such as the sum, puts short contexts with long replies beside the opposite.

    Args:
        lengths: (rows, kinds), the lengths of a row: of its context, of its reply.
        size: Rows of a group.

    Yields:
        The indices of the rows of each group.
    """
    halves = [np.arange(len(lengths))] if len(lengths) else []
    while halves:
        rows = halves.pop()
        if len(rows) <= size:
            yield rows
        else:
            halves += _cut(rows, lengths[rows], size)


def _cut(
    rows: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Cut rows in two after a multiple of ``size``, where what is padded is least."""
    count = -(-len(rows) // size)
    margin = max(1, count // EDGE)
    cuts_at = np.arange(margin, count - margin + 1) * size
    cuts = []
    for kind in range(lengths.shape[1]):
        order = lengths[:, kind].argsort(kind="stable")
        longest = np.maximum.accumulate(lengths[order]).sum(axis=1)
        longest_after = np.maximum.accumulate(lengths[order][::-1])[::-1].sum(axis=1)
        padded = cuts_at * longest[cuts_at - 1] + (len(rows) - cuts_at) * longest_after[cuts_at]
        best = padded.argmin()
        cuts.append((int(padded[best]), kind, rows[order], int(cuts_at[best])))
    _, _, order, cut_at = min(cuts, key=lambda cut: cut[:2])
    return order[:cut_at], order[cut_at:]
