"""Cells of a column begin below each other, and no line ends with blanks."""

from openmmb.text.table import table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [("a", "bcd", "e"), ("fghi", "j", ""), ("", "", "k")]
    assert table(rows) == ["a     bcd  e", "fghi  j", "           k"]


def test_no_rows_are_no_lines() -> None:
    assert table([]) == []
