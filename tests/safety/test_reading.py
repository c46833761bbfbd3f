"""Whatever somebody types, a classifier gets all of it, in ids that fit its network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.safety.reading import ReadConfig, Window, clean, collate, read
from tests.build import tiny_tokenizer

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
CONFIG = ReadConfig(max_tokens=12, max_context=6)


@pytest.mark.parametrize(
    ("typed", "cleaned"),
    [
        ("Two  DOGS\nrun", "two dogs run"),
        ("@some_one look: https://a.b/c?d=1 !", "@user look: http !"),
        ("mail me at a@b.org", "mail me at a@b.org"),
        ("sooooooo good!!!!!", "sooo good!!!"),
        ("café “Ｎïce” it\u2019s\u200b", 'cafe "nice" it\'s'),
        ("", ""),
    ],
)
def test_a_text_is_put_in_plain_form(typed: str, cleaned: str) -> None:
    assert clean(typed) == cleaned


@given(TEXTS)
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(TEXTS, st.lists(TEXTS, max_size=3), st.integers(0, 2))
def test_ids_fit_and_the_parts_hold_every_token(text: str, context: list[str], turns: int) -> None:
    tokenizer = tiny_tokenizer()
    config = ReadConfig(max_tokens=12, max_context=6, context_turns=turns)
    parts = read(text, context, tokenizer, config)
    words = tokenizer.encode(clean(text))
    seen: list[int] = []
    for at, part in enumerate(parts):
        assert 1 <= part.before <= 6
        assert 1 <= len(part.ids) - part.before <= 12
        assert part.ids[part.before - 1] == part.ids[-1] == tokenizer.end_id
        own = part.ids[part.before : -1]
        seen += own if at == 0 else own[11 - 5 :]
    assert seen == words


def test_the_last_turns_are_what_is_looked_at() -> None:
    tokenizer = tiny_tokenizer()
    both = read("yes", ("I like dogs", "Do you?"), tokenizer, CONFIG)
    assert both == read("yes", ("Do you?",), tokenizer, CONFIG)
    assert both != read("yes", ("Do you",), tokenizer, CONFIG)
    nothing = ReadConfig(max_tokens=12, max_context=6, context_turns=0)
    assert read("yes", ("Do you?",), tokenizer, nothing) == read("yes", (), tokenizer, nothing)


def test_padding_is_neither_read_nor_judged() -> None:
    ids, mask, judged = collate([Window([5, 6, 7], 1), Window([8], 0)], pad_id=0)
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[True] * 3, [True, False, False]]
    assert judged.tolist() == [[False, True, True], [True, False, False]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_tokens": 2}, "max_tokens must be at least 3, got 2"),
        ({"max_context": 0}, "max_context must be at least 1, got 0"),
        ({"context_turns": -1}, "context_turns must be at least 0, got -1"),
    ],
)
def test_lengths_that_cannot_be_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReadConfig(**changes)  # type: ignore[arg-type]
