"""BLEU is the published formula over lower-case words, with several references."""

import math

import pytest

from openmmb.eval.metrics import bleu, words


def test_words_leave_out_case_and_punctuation() -> None:
    assert words("A dog's ball, on the BEACH.") == ["a", "dog's", "ball", "on", "the", "beach"]


def test_one_of_the_references_said_again_scores_one() -> None:
    references = [["A cat sleeps on a mat.", "Two dogs run along the beach."]]
    assert bleu(["two dogs run along the beach"], references) == pytest.approx(1.0)


def test_bleu_is_the_formula_worked_by_hand() -> None:
    # Precisions 5/6, 3/5, 2/4, 1/3; as long as its reference, so no brevity penalty.
    score = bleu(["two dogs run along a beach"], [["two dogs run along the beach"]])
    assert score == pytest.approx(math.exp(sum(map(math.log, (5 / 6, 3 / 5, 2 / 4, 1 / 3))) / 4))


def test_a_short_candidate_pays_the_brevity_penalty() -> None:
    score = bleu(["two dogs run along"], [["two dogs run along the beach"]])
    assert score == pytest.approx(math.exp(1 - 6 / 4))


def test_bleu_1_counts_words_alone() -> None:
    assert bleu(["beach the along"], [["along the beach"]], max_n=1) == pytest.approx(1.0)


def test_counts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="1 candidates, 2 lists of references"):
        bleu(["one"], [["one"], ["two"]])
    with pytest.raises(ValueError, match="0 candidates"):
        bleu([], [])
