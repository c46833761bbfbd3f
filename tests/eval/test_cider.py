"""CIDEr-D gives the numbers of the COCO caption evaluation."""

import pytest

from openmmb.eval.cider import cider

CAPTIONS = ["a dog runs through the grass"] * 3
PEOPLE = [
    ["A dog is running through grass.", "the brown dog runs"],
    ["Two men play football.", "a dog and a man"],
    ["a cat", "dog runs through the grass"],
]


def test_it_is_the_published_number() -> None:
    # pycocoevalcap 1.2 on the same words; of the pictures 0.80011389, 0.05241536 and 4.51373261.
    assert cider(CAPTIONS, PEOPLE) == pytest.approx(1.788753951939918, abs=1e-12)


def test_the_very_words_of_people_score_highest() -> None:
    people = [["one red ball"], ["two grey cats asleep"], ["a boat on a lake"]]
    same = [texts[0] for texts in people]
    exchanged = same[1:] + same[:1]
    assert cider(exchanged, people) == 0
    assert cider(same, people) > cider(["one ball", *same[1:]], people) > 0
    assert cider(same[2:], people[2:]) == 0  # a word that fits every picture tells nothing


def test_texts_without_words_score_nothing() -> None:
    assert cider(["", "!"], [["a dog"], [""]]) == 0
    assert cider(["a dog", "a cat"], [[], ["a cat"]]) > 0


def test_a_caption_a_picture_is_needed() -> None:
    with pytest.raises(ValueError, match="0 candidates"):
        cider([], [])
    with pytest.raises(ValueError, match="1 candidates, 2 lists"):
        cider(["a"], [["a"], ["b"]])
