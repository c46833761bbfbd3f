"""Calibrated numbers are closer to the truth, and the threshold keeps its word."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from openmmb.training.classifier.calibration import (
    Calibration,
    apply_to_head,
    calibrate,
    choose_threshold,
    label_loss,
)

SAFE = torch.tensor([True, False, False])


def test_the_loss_is_that_of_all_labels_that_are_allowed() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    allowed = torch.tensor([[True, False, True], [False, True, False]])
    expected = [-torch.log(logits[0].softmax(0)[[0, 2]].sum()), torch.log(torch.tensor(3.0))]
    torch.testing.assert_close(label_loss(logits, allowed), torch.stack(expected))


def test_what_was_spoilt_is_found_again() -> None:
    torch.manual_seed(1)
    true = torch.randn(8_000, 3) * 2
    drawn = torch.multinomial(true.softmax(-1), 1)[:, 0]
    allowed = nn.functional.one_hot(drawn, 3).bool()
    spoilt = (true - 0.8 * SAFE) * 3.0
    found = calibrate(spoilt, allowed, torch.ones(len(true)), SAFE)
    assert found.temperature == pytest.approx(3.0, rel=0.08)
    assert found.shift == pytest.approx(0.8, abs=0.15)


def test_a_weight_counts_as_often_as_the_text_would() -> None:
    torch.manual_seed(2)
    logits = torch.randn(40, 3)
    allowed = nn.functional.one_hot(torch.randint(3, (40,)), 3).bool()
    weights = torch.ones(40)
    weights[:20] = 2
    once = calibrate(logits, allowed, weights, SAFE)
    twice = calibrate(
        torch.cat([logits, logits[:20]]), torch.cat([allowed, allowed[:20]]), torch.ones(60), SAFE
    )
    assert once.temperature == pytest.approx(twice.temperature, rel=1e-3)
    assert once.shift == pytest.approx(twice.shift, abs=1e-3)


def test_a_calibrated_head_needs_nothing_done_to_its_logits() -> None:
    head = nn.Linear(4, 3)
    x = torch.randn(5, 4)
    changed = apply_to_head(head, Calibration(temperature=2.0, shift=0.5), SAFE)
    torch.testing.assert_close(changed(x), head(x) / 2.0 + 0.5 * SAFE)


ROWS = st.lists(
    st.tuples(st.floats(0, 1, width=32), st.booleans(), st.integers(0, 2)), min_size=1, max_size=40
)


@given(ROWS, st.sampled_from([0.01, 0.1, 0.5]))
def test_the_threshold_is_the_best_of_those_that_may_be(
    rows: list[tuple[float, bool, int]], share: float
) -> None:
    scores, unsafe, source = (torch.tensor(column) for column in zip(*rows, strict=True))
    talk = source == 0  # the first source is ordinary talk, and safe
    unsafe = unsafe & ~talk
    chosen = choose_threshold(scores, unsafe, source, talk, share=share)

    def refuses_little(threshold: float) -> bool:
        ordinary = [score for score, _, at in rows if at == 0]
        refused = sum(torch.tensor(score) >= threshold for score in ordinary)
        return bool(refused <= share * len(ordinary))

    def f1(threshold: float) -> float:
        total = 0.0
        for one in {at for _, _, at in rows if at}:
            mine = [(bool(torch.tensor(s) >= threshold), bad) for s, bad, at in rows if at == one]
            hits = sum(refused and bad for refused, bad in mine)
            total += (
                2 * hits / max(1, sum(refused for refused, _ in mine) + sum(b for _, b in mine))
            )
        return total

    allowed = [number / 100 for number in range(5, 100) if refuses_little(number / 100)]
    if not allowed:
        assert chosen == 0.99
    else:
        assert chosen in allowed
        assert f1(chosen) == pytest.approx(max(map(f1, allowed)))
