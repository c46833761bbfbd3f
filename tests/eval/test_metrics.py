"""Metrics are the published formulas, over the words that the published code compares."""

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.eval.metrics import bleu, bleu4, f1, normalize, rouge_l, words

TEXT = st.text("ab c", max_size=12)


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


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The cat's a-ok, isn't it?", "cat s ok isn t it"),
        ("An apple;  the THEATER\n", "apple theater"),
        ("“Curly” quotes – stay", "“curly” quotes – stay"),
        ("the", ""),
    ],
)
def test_replies_are_normalised_as_parlai_does(text: str, normal: str) -> None:
    assert normalize(text) == normal


def test_f1_is_the_harmonic_mean_with_the_best_reference() -> None:
    # Two words in common, of three and of four.
    assert f1("I like dogs", ["No.", "Well, I like cats."]) == pytest.approx(2 * 2 / (3 + 4))
    assert f1("dogs dogs", ["The dogs"]) == pytest.approx(2 / 3)  # a word counts as often as it is
    assert f1("", ["Hello"]) == f1("Hello", ["a"]) == 0


@given(TEXT, TEXT)
def test_f1_is_symmetric_and_one_for_the_same_words(one: str, other: str) -> None:
    assert f1(one, [other]) == f1(other, [one])
    assert f1(one, [one]) == (1 if normalize(one) else 0)


def test_bleu_of_one_reply_is_smoothed_next_to_nothing() -> None:
    assert bleu4("Two dogs run on sand", ["two dogs run on sand!"]) == pytest.approx(1)
    # What was measured of ParlAI's: three words said again, and one word in common.
    assert bleu4("I like dogs", ["I like dogs"]) == pytest.approx(0.001, rel=1e-3)
    assert 0 < bleu4("dogs bark now loudly", ["cats and dogs"]) < 1e-8
    assert bleu4("dogs", ["cats"]) == 0
    assert bleu4("", ["cats"]) == 0


def test_rouge_l_is_the_share_of_the_reference_in_the_same_order() -> None:
    assert rouge_l("I really like big dogs", ["I like dogs and cats"]) == pytest.approx(3 / 5)
    assert rouge_l("dogs like I", ["I like dogs"]) == pytest.approx(1 / 3)
    assert rouge_l("sailing boats", ["She sails a boat"]) == pytest.approx(2 / 3)  # stems
    assert rouge_l("I am going to", ["gonna go", "I am"]) == 1
    assert rouge_l("anything", ["the"]) == 0
    assert rouge_l("", ["anything"]) == 0


def test_rouge_l_splits_what_its_tokenizer_splits() -> None:
    assert rouge_l("gon", ["gonna"]) == pytest.approx(1 / 2)
    assert rouge_l("can", ["cannot"]) == 0


@given(TEXT, TEXT)
def test_rouge_l_is_the_longest_common_subsequence(candidate: str, reference: str) -> None:
    said, wanted = normalize(candidate).split(), normalize(reference).split()
    common = {
        size
        for size in range(len(wanted) + 1)
        for some in combinations(wanted, size)
        if some in set(combinations(said, size))
    }
    expected = max(common) / len(wanted) if wanted else 0
    assert rouge_l(candidate, [reference]) == pytest.approx(expected)
