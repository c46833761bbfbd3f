"""Numbers about scores are those of the plain way, ties and one-sided sets included."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.eval.classification import auc, calibration_error, measure

PAIRS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), st.booleans()),
    min_size=1,
    max_size=30,
)


@given(PAIRS)
def test_auc_counts_the_pairs_that_stand_right(pairs: list[tuple[float, bool]]) -> None:
    bad = [score for score, unsafe in pairs if unsafe]
    good = [score for score, unsafe in pairs if not unsafe]
    wins = sum((b > g) + (b == g) / 2 for b in bad for g in good)
    expected = wins / (len(bad) * len(good)) if bad and good else 0.5
    scores, unsafe = zip(*pairs, strict=True)
    assert auc(scores, unsafe) == pytest.approx(expected)


@given(PAIRS)
def test_precision_recall_and_f1_are_their_definitions(pairs: list[tuple[float, bool]]) -> None:
    scores, unsafe = zip(*pairs, strict=True)
    refused = [score >= 0.5 for score in scores]
    found = measure(scores, unsafe, refused)
    hits = sum(u and r for u, r in zip(unsafe, refused, strict=True))
    assert found.precision == pytest.approx(hits / max(1, sum(refused)))
    assert found.recall == pytest.approx(hits / max(1, sum(unsafe)))
    total = found.precision + found.recall
    assert found.f1 == pytest.approx(2 * found.precision * found.recall / total if total else 0)
    assert (found.texts, found.unsafe) == (len(pairs), sum(unsafe))


@given(PAIRS)
def test_calibration_is_the_gap_of_each_bin(pairs: list[tuple[float, bool]]) -> None:
    bins: dict[int, list[tuple[float, bool]]] = {}
    for pair in pairs:
        bins.setdefault(min(9, int(pair[0] * 10)), []).append(pair)
    gaps = [
        abs(sum(score for score, _ in rows) - sum(bad for _, bad in rows)) for rows in bins.values()
    ]
    scores, unsafe = zip(*pairs, strict=True)
    assert calibration_error(scores, unsafe) == pytest.approx(sum(gaps) / len(pairs))


def test_lists_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="1 scores, 2 labels, 1 refusals"):
        measure([0.5], [True, False], [True])
    with pytest.raises(ValueError, match="0 scores, 0 labels, 0 refusals"):
        measure([], [], [])
