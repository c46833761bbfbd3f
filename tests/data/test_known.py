"""A vocabulary that knows its texts gives the ids that it would give without."""

from hypothesis import given
from hypothesis import strategies as st

from openmmb.data.known import KnownTexts
from tests.build import tiny_tokenizer

KNOWN = KnownTexts(tiny_tokenizer())


@given(st.text(max_size=20))
def test_ids_are_the_same_the_first_time_and_the_second(text: str) -> None:
    wanted = tiny_tokenizer().encode(text)
    first = KNOWN.encode(text)
    assert first == wanted
    first.append(0)  # what a caller does to its list is its own affair
    assert KNOWN.encode(text) == wanted


def test_it_is_the_same_vocabulary() -> None:
    assert KNOWN.end_id == tiny_tokenizer().end_id
    assert KNOWN.to_json() == tiny_tokenizer().to_json()
