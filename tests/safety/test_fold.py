"""A disguised word has the plain word among its forms, and every token says where it stood."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.safety.fold import MAX_FORMS, fold


def forms(text: str) -> set[str]:
    return {form for row in fold(text) for token in row for form in token.forms}


@pytest.mark.parametrize(
    "text",
    [
        "BADGER",
        "b a d g e r",
        "b.a.d.g.e.r",
        "b_a-d g/e r",
        "b🙂a🙂d🙂g🙂e🙂r",
        "b4dg3r",
        "b@dg3r",
        "baaaadger",
        "BADGERRRR",
        "b\u200badg\u00ader",
        "b\u0335a\u0335d\u0335g\u0335e\u0335r",
        "bädgér",
        "bаdgеr",  # Cyrillic a and e
        "βαdgεr",
        "ʙᴀᴅɢᴇʀ",
        "ｂａｄｇｅｒ",
        "𝓫𝓪𝓭𝓰𝓮𝓻",
        "🅱🅰🅳🅶🅴🆁",
        "*badger*",
        "badger's",
        "bad'ger",
        "(badger)!",
        "#badger",
        "badger/otter",
        "@badger",
    ],
)
def test_disguises_are_undone(text: str) -> None:
    assert "badger" in forms(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("b**ger", "b**ger"),
        ("b#dger", "b*dger"),
        ("b--ger", "b**ger"),
        ("bad***", "bad***"),
        ("bill", "bill"),
        ("b!ll", "bill"),
        ("b1ll", "bill"),
        ("pa$$", "pass"),
        ("a l l e y", "alley"),
        ("don't", "dont"),
        ("she'll", "shell"),
        ("who're", "who"),
        ("gooood", "good"),
        ("gooood", "god"),
    ],
)
def test_readings(text: str, form: str) -> None:
    assert form in forms(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("600k", "gook"),  # a number and its unit
        ("cool", "col"),  # two letters are no stretch
        ("well--", "well*"),
        ("badge* ", "badge*"),  # a footnote
        ("who're", "whore"),
        ("a b", "ab"),  # two letters are no spelling
    ],
)
def test_what_is_no_disguise_is_left_alone(text: str, form: str) -> None:
    assert form not in forms(text)


def test_plain_words_have_one_row_of_one_form_each() -> None:
    (row,) = fold("Hello, dear friend!")
    assert [token.forms for token in row] == [("hello",), ("dear",), ("friend",)]
    assert [(token.start, token.end) for token in row] == [(0, 5), (7, 11), (12, 18)]


def test_places_are_those_of_the_text_as_typed() -> None:
    text = "So \u200b🅱🅰🅳 ﬁt, b.a.d"
    spans = {text[token.start : token.end] for row in fold(text) for token in row}
    assert {"So", "🅱🅰🅳", "ﬁt", "b.a.d"} <= spans


@given(st.text(max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    for row in fold(text):
        last = 0
        for token in row:
            assert last <= token.start < token.end <= len(text)
            assert 1 <= len(token.forms) <= 2 * MAX_FORMS
            last = token.end - 1  # one character may hold two words ("\u00bc" is 1 and 4)


@given(st.text("abcdefghijklmnopqrstuvwxyz ", max_size=40), st.data())
def test_invisible_characters_change_nothing(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    hidden = data.draw(st.sampled_from("\u200b\u200d\u2060\ufeff\u00ad\u0301\u0336\u3164"))
    typed = text[:place] + hidden + text[place:]
    assert [[t.forms for t in row] for row in fold(typed)] == [
        [t.forms for t in row] for row in fold(text)
    ]


@given(st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=8))
def test_mathematical_letters_read_as_letters(word: str) -> None:
    bold = "".join(chr(0x1D41A + ord(c) - ord("a")) for c in word)
    assert unicodedata.normalize("NFKC", bold) == word
    assert fold(bold)[0][0].forms == fold(word)[0][0].forms
