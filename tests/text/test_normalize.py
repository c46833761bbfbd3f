"""Text comes out clean, and a second pass changes nothing."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.text.normalize import detokenize, normalize_reply, tidy

TYPED = st.text() | st.text(alphabet="iIs'm.,?! ab\"($5-\n\t\u200b\u0301")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [  # what ParlAI 1.7.2 makes of them
        ("hello . how are you ?", "Hello. How are you?"),
        ("i'm fine , thanks !", "I'm fine, thanks!"),
        ("I LOVE IT", "I love it"),
        ("i do n't know", "I do n't know"),
        ("it ' s ok", "It's ok"),
        ("what? i see. yes", "What? I see. Yes"),
        ("  spaced  out ", "spaced out"),
        ("", ""),
        ("a . b", "A. B"),
        ("hi ! i am bob . i've a dog", "Hi! I am bob. I've a dog"),
        ("no ending", "No ending"),
        ("u.s.a", "U.s.a"),
        ("what ?!", "What?!"),
        ("dogs' ears", "Dogs'ears"),
        ("hi" + 64 * " " + "you", "Hi You"),
    ],
)
def test_normalize_reply_is_parlais(text: str, wanted: str) -> None:
    assert normalize_reply(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Good morning , sir .", "Good morning, sir."),
        ("a child ... in a big city .", "A child... in a big city."),
        ("It ' s a dog 's life , i ' Ve heard .", "It's a dog's life, I've heard."),
        ("i ca n't , isn ' t it ?", "I can't, isn't it?"),
        ("Ma ' am , it 's 8 o ' clock !", "Ma'am, it's 8 o'clock!"),
        ("Josh O ' Neil", "Josh O'Neil"),
        ('A " no skiing " sign .', 'A "no skiing" sign.'),
        ('It says " stop . "', 'It says "stop."'),
        ("The ' Daily News ' , please .", "The 'Daily News', please."),
        ("five minutes ' walk", "Five minutes' walk"),
        ("( Reads ) From 5 p . m . it 's $ 2,000 .", "(Reads) From 5 p.m. it's $2,000."),
        ("That is 3 . 2 % .", "That is 3.2%."),
        ("the U . S . and i", "The U.S. and I"),
        ("so - - no", "So -- no"),
        ("... i see", "... I see"),
        ("iPods in the T-shirt", "IPods in the T-shirt"),
        ("", ""),
    ],
)
def test_detokenize_makes_prose(text: str, wanted: str) -> None:
    assert detokenize(text) == wanted


def test_tidy_leaves_one_clean_line() -> None:
    assert tidy(" a\u200b\tb\r\n\u3000c\x00\ufeff ") == "a b c"
    assert tidy("cafe\u0301 \ud800") == "caf\u00e9"


@given(TYPED)
def test_tidy_keeps_every_visible_letter(text: str) -> None:
    letters = [c for c in unicodedata.normalize("NFC", tidy(text)) if c.isalnum()]
    seen = tidy("".join(c if c.isprintable() or c.isspace() else "" for c in text))
    assert [c for c in seen if c.isalnum()] == letters


@given(TYPED)
def test_tidy_twice_is_tidy(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)


@given(TYPED)
def test_detokenize_twice_is_detokenize(text: str) -> None:
    assert detokenize(detokenize(text)) == detokenize(text)
    assert detokenize(text) == tidy(detokenize(text))
