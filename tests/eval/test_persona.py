"""A reply speaks of a persona when it has one of its content words."""

import pytest

from openmmb.eval.persona import speaks_of

PERSONA = ("I work in a bakery.", "I have two cats!")


@pytest.mark.parametrize("reply", ["The BAKERY is warm.", "I feed my cats, then I leave."])
def test_a_content_word_of_a_line_is_enough(reply: str) -> None:
    assert speaks_of(reply, PERSONA)


@pytest.mark.parametrize("reply", ["I have to work in a minute.", "What do you do?", "catsuit", ""])
def test_words_that_everybody_says_are_not(reply: str) -> None:
    assert not speaks_of(reply, PERSONA)


def test_nothing_speaks_of_no_persona() -> None:
    assert not speaks_of("I have two cats.", ())
