"""Whatever somebody types, a classifier gets all of it, in ids that fit its network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.safety.reading import (
    MAX_WINDOWS,
    ReadConfig,
    Window,
    clean,
    collate,
    count_words,
    read,
)
from openmmb.text.wordpiece import SPECIALS, WordPieces
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
def test_ids_fit_and_the_windows_hold_every_token(
    text: str, context: list[str], turns: int
) -> None:
    tokenizer = tiny_tokenizer()
    config = ReadConfig(max_tokens=12, max_context=6, context_turns=turns)
    windows = read(text, context, tokenizer, config)
    words = tokenizer.encode(clean(text))
    assert len(windows) <= MAX_WINDOWS
    for window in windows:
        assert 1 <= window.start <= 6
        assert 1 <= window.stop - window.start <= 12
        assert window.stop == len(window.ids)
        assert window.ids[window.start - 1] == window.ids[-1] == tokenizer.end_id
    shown = [window.ids[window.start : -1] for window in windows]
    assert shown[0] == words[: len(shown[0])]
    assert shown[-1] == words[len(words) - len(shown[-1]) :]
    if len(windows) < MAX_WINDOWS:
        assert sum(map(len, shown)) >= len(words)
        assert set(words) <= {token for ids in shown for token in ids}


@given(TEXTS, st.lists(TEXTS, max_size=2))
def test_a_pair_is_the_text_and_then_what_was_said_before(text: str, context: list[str]) -> None:
    words = WordPieces([*SPECIALS, *"abcdefgh", *(f"##{letter}" for letter in "abcdefgh")])
    config = ReadConfig(layout="pair", max_tokens=12, max_context=6)
    for window in read(text, context, words, config):
        assert window.start == 0
        assert window.stop <= 12
        assert len(window.ids) - window.stop <= 6
        assert window.ids[0] == words.start_id
        assert window.ids[window.stop - 1] == window.ids[-1] == words.end_id


def test_a_text_of_any_length_is_read_in_so_many_windows_and_no_more() -> None:
    config = ReadConfig(max_tokens=12, max_context=6)
    windows = read("a girl and two dogs " * 1000, (), tiny_tokenizer(), config)
    assert len(windows) == MAX_WINDOWS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("Hannah", 1),
        ("It's me.", 2),
        ("\u6b7b\u306b\u305f\u3044", 2),
        ("\u6211\u4eca\u5929\u5f88\u9ad8\u5174", 3),
        ("\u0643\u064a\u0641 \u062d\u0627\u0644\u0643", 2),
    ],
)
def test_words_are_counted_in_any_script(text: str, words: int) -> None:
    assert count_words(text) == words


def test_the_last_turns_are_what_is_looked_at() -> None:
    tokenizer = tiny_tokenizer()
    both = read("yes", ("I like dogs", "Do you?"), tokenizer, CONFIG)
    assert both == read("yes", ("Do you?",), tokenizer, CONFIG)
    assert both != read("yes", ("Do you",), tokenizer, CONFIG)
    nothing = ReadConfig(max_tokens=12, max_context=6, context_turns=0)
    assert read("yes", ("Do you?",), tokenizer, nothing) == read("yes", (), tokenizer, nothing)


def test_padding_is_neither_read_nor_judged() -> None:
    ids, mask, judged = collate([Window([5, 6, 7], 1, 3), Window([8], 0, 1)], pad_id=0)
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
