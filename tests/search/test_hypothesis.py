"""A trace gives back whole replies, best first, and knows when an input is done."""

import pytest
import torch

from openmmb.search.constraints import BANNED
from openmmb.search.hypothesis import Choice, Hypothesis, Trace

END = 2


def trace(*steps: tuple[list[int], list[int], list[float]]) -> Trace:
    """One input, two beams; each step is (parents, tokens, scores)."""
    made = Trace(1, 2, end_id=END, device=torch.device("cpu"))
    for parents, tokens, scores in steps:
        made.add(Choice(torch.tensor([parents]), torch.tensor([tokens]), torch.tensor([scores])))
    return made


def test_replies_are_followed_back_through_their_parents() -> None:
    made = trace(
        ([0, 0], [5, 6], [-1.0, -2.0]),
        ([1, 0], [7, END], [-3.0, -4.0]),  # 6 7 goes on, 5 ends
        ([0, 1], [END, 8], [-4.5, -6.0]),
    )
    # At a penalty of 1 a score is divided by (1 + length) / 6, start and end token counted.
    first, second = made.hypotheses(length_penalty=1)[0]
    assert (first.tokens, second.tokens) == ((6, 7), (5,))
    assert (first.score, second.score) == pytest.approx((-4.5 / (5 / 6), -4 / (4 / 6)))
    assert first.finished
    assert second.finished


def test_equal_scores_stay_in_order_of_finding() -> None:
    made = trace(([0, 0], [5, 6], [-1.0, -1.0]), ([1, 0], [END, END], [-2.0, -2.0]))
    assert [h.tokens for h in made.hypotheses(length_penalty=0)[0]] == [(6,), (5,)]


def test_without_an_end_the_first_beam_is_cut_by_its_last_token() -> None:
    made = trace(([0, 0], [5, 6], [-1.0, -2.0]), ([1, 0], [7, 8], [-3.0, -4.0]))
    assert made.hypotheses(length_penalty=0) == [[Hypothesis((6,), -3.0, finished=False)]]


def test_a_dead_beam_does_not_finish() -> None:
    made = trace(([0, 0], [5, 6], [-1.0, BANNED]), ([0, 1], [END, END], [-2.0, BANNED]))
    assert [h.tokens for h in made.hypotheses(length_penalty=0)[0]] == [(5,)]
    assert made.done.tolist() == [False]


def test_done_takes_as_many_ends_as_beams_and_one_of_the_first_beam() -> None:
    second = ([0, 0], [5, END], [-1.0, -2.0])
    first = ([0, 0], [END, 5], [-3.0, -4.0])
    assert trace(second, second, second).done.tolist() == [False]
    assert trace(first).done.tolist() == [False]
    assert trace(first, second).done.tolist() == [True]


def test_nothing_finishes_after_an_input_is_done() -> None:
    both = ([0, 1], [END, END], [-1.0, -2.0])
    assert len(trace(both, both, both).hypotheses(length_penalty=0)[0]) == 2
