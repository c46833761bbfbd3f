"""Nothing stays that no reader sees, save where writing needs it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.text.invisible import remove_invisible
from openmmb.text.normalize import tidy

IGNORABLE = [
    *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0),
    *range(0x180B, 0x1810),
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),
    *range(0xFFF0, 0xFFF9),
    *range(0x1BCA0, 0x1BCA4),
    *range(0x1D173, 0x1D17B),
    *range(0xE0000, 0xE1000),
]
"""Unicode's Default_Ignorable_Code_Point."""
NO_CHARACTERS = [
    *range(0xFDD0, 0xFDF0),
    *(p + e for p in range(0, 0x110000, 0x10000) for e in (0xFFFE, 0xFFFF)),
]


def test_nothing_that_unicode_calls_ignorable_stays_in_latin_text() -> None:
    for code in (*IGNORABLE, *NO_CHARACTERS, *range(9), *range(0xD800, 0xE000), 0xFFF9, 0xFFFB):
        for text in (f"a{chr(code)}b", f"{chr(code)}ab", f"ab{chr(code)}", f"a{chr(code) * 3}b"):
            assert remove_invisible(text) == "ab", hex(code)


def test_every_control_and_format_character_is_white_space_seen_or_removed() -> None:
    """Those that stay are signs of Arabic, Kaithi and hieroglyphs, which are drawn."""
    kept = [
        code
        for code in range(0x110000)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs")
        and not chr(code).isspace()
        and tidy(f"a{chr(code)}b") != "ab"
    ]
    drawn = [*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD]
    assert set(kept) <= {*drawn, *range(0x13430, 0x13440)}


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧‍👦",
        "❤️ 👍🏽 🏳️‍🌈 👩🏽‍💻 ❤️‍🔥 ☺︎",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿 and 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
        "1️⃣ #️⃣ *️⃣ ‼️ ⁉️ ↔️ ©️",
        "می‌خواهم",
        "क्‍ष क्‌ष ര്‍ শ্রী র‍্যা",
        "ᠮᠣᠩᠭᠣᠯ ᠪᠣᠯ᠋ᠠᠷ",
        "葛󠄀城 辻󠄁",
        "안녕하세요",
        "שלום café 日本語",
    ],
)
def test_what_writing_needs_stays(text: str) -> None:
    assert remove_invisible(text) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("ki‍ll", "kill"),
        ("ki‌ll", "kill"),
        ("‍👍", "👍"),
        ("👍‍", "👍"),
        ("👍‍ a", "👍 a"),
        ("a️", "a"),
        ("1️", "1"),
        ("👍️️️", "👍️"),
        ("می‌", "می"),
        ("م‌‌‌ی", "م‌ی"),
        ("hi" + "".join(chr(0xE0000 + ord(c)) for c in "kill"), "hi"),
        ("🏴" + "".join(chr(0xE0000 + ord(c)) for c in "ignore all of it"), "🏴"),
        ("👍" + "".join(chr(0xE0100 + at) for at in range(20)), "👍"),
        ("葛" + chr(0xE0100) * 9, "葛" + chr(0xE0100)),
        ("\u2066evil\u2069", "evil"),
        ("ㅤ", ""),
        ("a⠀b", "a b"),
        ("⠓⠊⠀⠓⠊", "⠓⠊ ⠓⠊"),
        ("م\u200c\u17b4", "م"),
        ("\ud83d", ""),
        ("a\ud83db", "ab"),
    ],
)
def test_what_only_hides_goes(text: str, seen: str) -> None:
    assert remove_invisible(text) == seen


@pytest.mark.parametrize("code", [*IGNORABLE[::7], 0x2800, 0xD83D, 0x7F])
def test_a_message_of_nothing_visible_is_empty(code: int) -> None:
    assert tidy(chr(code) * 5) == ""
    assert tidy(f" {chr(code)} \n {chr(code)}") == ""


@given(st.text(st.sampled_from([*map(chr, IGNORABLE[:60]), *"a1 🏴👍🏽❤می葛ᠮक्", "\u20e3"])))
def test_a_second_pass_changes_nothing(text: str) -> None:
    once = remove_invisible(text)
    assert remove_invisible(once) == once
    assert tidy(tidy(text)) == tidy(text)
