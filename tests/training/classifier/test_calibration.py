"""What is not known is not learnt, and thresholds refuse little ordinary talk."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from openmmb.tasks.labelled import LABELS
from openmmb.training.classifier.calibration import (
    CANDIDATES,
    SIDES,
    UNTESTED,
    choose_thresholds,
    label_loss,
    macro_f1,
)

INSULT = LABELS.index("insult")


def test_the_loss_is_that_of_what_is_known() -> None:
    logits = torch.tensor([[0.0, 9.0, -9.0], [2.0, 0.0, 0.0]])
    labels = torch.tensor([[True, False, True], [False, False, True]])
    known = torch.tensor([[True, False, False], [True, False, True]])
    expected = [math.log(2), math.log1p(math.exp(2)) + math.log(2)]
    assert label_loss(logits, labels, known).tolist() == pytest.approx(expected)


def texts(
    scores: list[float], insults: list[bool], talk: list[bool], *, bot: bool = False
) -> tuple[Tensor, ...]:
    """Texts of one side of which only whether they are an insult is known."""
    size = len(scores)
    columns = torch.zeros(size, len(LABELS))
    columns[:, INSULT] = torch.tensor(scores)
    labels = torch.zeros(size, len(LABELS), dtype=torch.bool)
    labels[:, INSULT] = torch.tensor(insults)
    known = torch.zeros(size, len(LABELS), dtype=torch.bool)
    known[:, INSULT] = True
    return columns, labels, known, torch.tensor(talk), torch.full((size,), bot)


def test_the_threshold_tells_apart_what_can_be() -> None:
    chosen = choose_thresholds(
        *texts([0.3, 0.4, 0.6, 0.7], [False, False, True, True], [False] * 4), share=0.005
    )
    assert chosen["person"]["insult"] == pytest.approx(0.41)
    assert chosen["person"]["hate"] == UNTESTED
    assert chosen["bot"]["insult"] == UNTESTED
    assert {side: tuple(of_side) for side, of_side in chosen.items()} == SIDES


def test_each_side_has_the_thresholds_of_what_it_says() -> None:
    person = texts([0.3, 0.6], [False, True], [False] * 2)
    bot = texts([0.6, 0.9], [False, True], [False] * 2, bot=True)
    both = (torch.cat(pair) for pair in zip(person, bot, strict=True))
    chosen = choose_thresholds(*both, share=0.005)
    assert chosen["person"]["insult"] == chosen["frame"]["insult"] == pytest.approx(0.31)
    assert chosen["bot"]["insult"] == pytest.approx(0.61)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans()), min_size=1, max_size=30),
    st.sampled_from([0.05, 0.5]),
)
def test_little_ordinary_talk_is_refused(
    rows: list[tuple[float, bool, bool]], share: float
) -> None:
    scores, insults, talk = (list(column) for column in zip(*rows, strict=True))
    insults = [bad and not ordinary for bad, ordinary in zip(insults, talk, strict=True)]
    threshold = choose_thresholds(*texts(scores, insults, talk, bot=True), share=share)["bot"][
        "insult"
    ]
    if threshold in (UNTESTED, CANDIDATES[-1]):
        return
    ordinary = [score for score, one in zip(scores, talk, strict=True) if one]
    refused = sum(torch.tensor(score) >= threshold for score in ordinary)
    assert refused <= share * len(ordinary)


def test_macro_f1_is_the_mean_of_both_kinds() -> None:
    assert macro_f1([True, False], [True, False]) == 1
    assert macro_f1([True, True, True, True], [True, False, True, False]) == pytest.approx(1 / 3)
