"""Variety is 1 where nothing is said twice, and falls to almost nothing for a constant reply."""

import pytest

from openmmb.eval.variety import COMMONEST, best_constant, commonest_share, distinct_2


def test_pairs_of_words_are_counted_over_all_replies() -> None:
    assert distinct_2(["I sail", "you row"]) == 1
    assert distinct_2(["I sail a boat", "I sail"]) == pytest.approx(3 / 4)
    assert distinct_2(["I sail."] * 50) == pytest.approx(1 / 50)
    assert distinct_2(["yes", ""]) == distinct_2([]) == 0


def test_case_and_marks_make_no_reply_another_one() -> None:
    replies = ["Oh no!", "oh no.", *(f"reply {number}" for number in range(100))]
    assert commonest_share(replies) == pytest.approx((2 + COMMONEST - 1) / 102)
    assert commonest_share(["same"] * 9) == 1
    assert commonest_share([]) == 0


def test_the_best_constant_is_nearest_to_all() -> None:
    replies = ["i like dogs", "i like cats", "i like birds", "oh no"]
    assert best_constant(["oh no", "i like it", "i like it", "birds"], replies) == "i like it"


def test_a_best_constant_needs_replies_to_choose_from_and_to_compare_with() -> None:
    with pytest.raises(ValueError, match="0 replies to choose from, 1 to compare with"):
        best_constant([], ["yes"])
    with pytest.raises(ValueError, match="1 replies to choose from, 0 to compare with"):
        best_constant(["yes"], [])
