"""Sentiment tells pleasant from unpleasant and knows what is neither."""

import pytest

from openmmb.eval.sentiment import sentiment


@pytest.mark.parametrize(
    ("pleasant", "unpleasant"),
    [
        ("What a lovely day!", "What an awful day!"),
        ("I love this place.", "I do not love this place."),
        ("The food was good.", "The food was terrible."),
    ],
)
def test_it_tells_them_apart(pleasant: str, unpleasant: str) -> None:
    assert -1 <= sentiment(unpleasant) < 0 < sentiment(pleasant) <= 1


@pytest.mark.parametrize("text", ["", "Two dogs run along the beach.", "It is a table."])
def test_what_is_neither_is_zero(text: str) -> None:
    assert sentiment(text) == 0
