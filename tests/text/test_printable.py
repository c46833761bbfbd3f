"""Nothing that is shown can command a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.text.printable import printable


@given(st.text())
def test_only_visible_characters_spaces_and_line_breaks_come_out(text: str) -> None:
    shown = printable(text)
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert len(shown) == len(text)
    assert printable(shown) == shown


@pytest.mark.parametrize(
    "text", ["two lines\nand 日本語", "👍🏽 naïve “quotes”", "", "[red]:smile:"]
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\ufffd[2J"),
        ("\x9b31m", "\ufffd31m"),
        ("a\rb\tc", "a b c"),
        ("\u202eevil", "\ufffdevil"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_terminal_commands_and_halves_of_characters_are_replaced(text: str, shown: str) -> None:
    assert printable(text) == shown
