"""Raw files come out as typed rows, and turns as examples, or the error says where and what."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmmb.data.example import Example
from openmmb.errors import DataError
from openmmb.tasks import read
from openmmb.tasks.read import (
    find_file,
    read_csv,
    read_json,
    read_json_lines,
    read_lines,
    read_rows,
    turn_examples,
)


@dataclass(frozen=True)
class Row:
    said: list[tuple[str, int]]


JSON_TEXT = st.lists(
    st.sampled_from(
        [
            *'[]{}:,"\n\r\\ 1',
            *('"said"', "[[", "]]", r'"\ud83d"', r'"\ude00"', "NaN", "1e999", "null", '"a\x00"'),
            *("9" * 5000, "[" * 2000, "\ufeff", '{"said": [["a", 1]]}', "a,b\n"),
        ]
    ),
    max_size=12,
).map("".join)
"""What may be JSON, and what is nearly."""


def test_find_file_takes_the_first_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("")
    assert find_file(tmp_path, "a", "b") == tmp_path / "b"
    (tmp_path / "a").write_text("")
    assert find_file(tmp_path, "a", "b") == tmp_path / "a"
    with pytest.raises(DataError, match=r": no file c or d$"):
        find_file(tmp_path, "c", "d")


def test_read_json_builds_rows_and_leaves_out_other_keys(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"said": [["hi", 1]], "mood": "fine"}]')
    assert read_json(path, list[Row]) == [Row(said=[("hi", 1)])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"said": [["hi", 1]]}, {"said": [["hi", "x"]]}]', r"rows.json: 1\.said\.0\.1: .*'x'"),
        ('[{"words": []}]', r"rows.json: 0\.said: .*required"),
        ("[", r"rows.json: Invalid JSON: EOF"),
        (f'[{{"said": "{"ab" * 99}"}}]', r"got 'abab.*\.\.\.$"),
    ],
)
def test_read_json_says_which_record_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_json(path, list[Row])


ROWS = st.lists(
    st.fixed_dictionaries(
        {"said": st.lists(st.tuples(st.text(max_size=20), st.integers()), max_size=3)}
    ),
    max_size=5,
)


@given(ROWS, st.sampled_from([None, 1]), st.integers(1, 9))
def test_rows_are_those_that_json_has_however_little_is_read_at_once(
    rows: list[object], indent: int | None, chunk: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(read, "_CHUNK", chunk)
        path = Path(folder) / "rows.json"
        path.write_text(f" {json.dumps(rows, indent=indent, ensure_ascii=False)}\n", "utf-8")
        assert list(read_rows(path, Row)) == read_json(path, list[Row])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"rows.json: expected a JSON array: Expecting '\[' at element 0"),
        ('{"said": []}', r"expected a JSON array: Expecting '\[' at element 0"),
        ('[{"said": []}', r"expected a JSON array: Expecting ',' or '\]' at element 1"),
        ('[{"said": []} {}]', r"expected a JSON array: Expecting ',' or '\]' at element 1"),
        ("[" * 100_000, r"expected a JSON array: .*recursion.* at element 0"),
        ("[" + "9" * 10_000 + "]", r"expected a JSON array: Exceeds the limit .* at element 0"),
        ('[{"said": []}, ]', r"expected a JSON array: Expecting value at element 1"),
        ('[{"said": []}, {"said', r"expected a JSON array: Unterminated string.* at element 1"),
        ('[{"said": []}, {"said": [["hi", "x"]]}]', r"rows.json: 1\.said\.0\.1: .*'x'$"),
        ("[3]", r"rows.json: 0: .*got 3$"),
    ],
)
def test_read_rows_says_which_row_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        list(read_rows(path, Row))


def test_lines_of_json_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"said": []}\n\n{"said": [["hi", 1]]}\n{"said": 5}\n')
    rows = read_json_lines(path, Row)
    assert next(rows) == (1, Row(said=[]))
    assert next(rows) == (3, Row(said=[("hi", 1)]))
    with pytest.raises(DataError, match=r"rows.jsonl: line 4: said: Input should be a valid array"):
        next(rows)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.json: No such file"):
        read_json(tmp_path / "none.json", list[Row])
    with pytest.raises(DataError, match=r"none.json: No such file"):
        list(read_rows(tmp_path / "none.json", Row))
    (tmp_path / "latin").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match=r"latin: expected text in UTF-8: "):
        list(read_lines(tmp_path / "latin"))


def test_lines_end_at_newlines_only_and_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes("\ufeffone\r\n\ntwo\x0cstill\u2028two\n".encode())
    assert list(read_lines(path)) == [(1, "one"), (3, "two\x0cstill\u2028two")]


def test_csv_rows_have_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,"x, ""y"""\n"two\nlines",3\n')
    assert list(read_csv(path, ("a", "b"))) == [
        {"a": "1", "b": 'x, "y"'},
        {"a": "two\nlines", "b": "3"},
    ]


def test_csv_rows_end_at_line_breaks_only(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("\ufeffa,b\r\n1,still\u2028two\x0c\r\n".encode())
    assert list(read_csv(path, ("a", "b"))) == [{"a": "1", "b": "still\u2028two\x0c"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t.csv: line 1: columns are '', expected 'a,b'"),
        ("a,c\n", r"t.csv: line 1: columns are 'a,c', expected 'a,b'"),
        ("a,b\n1,2\n1,2,3\n", r"t.csv: line 3: 3 columns, expected 2"),
        ('a,b\n1,"2\n', r"t.csv: line 2: expected CSV: unexpected end"),
    ],
)
def test_csv_errors_say_the_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        list(read_csv(path, ("a", "b")))


def test_an_example_has_the_persona_of_its_speaker() -> None:
    examples = turn_examples(
        ["a", "b", "c"],
        range(1, 3),
        task="t",
        conversation="7",
        opening=("topic",),
        personas=(("first",), ("second",)),
    )
    assert list(examples) == [
        Example(("topic", "a"), "b", task="t", conversation="7", persona=("second",)),
        Example(("topic", "a", "b"), "c", task="t", conversation="7", persona=("first",)),
    ]


@given(st.lists(st.sampled_from(["", "x", "y"])))
def test_empty_turns_are_neither_replies_nor_context(turns: list[str]) -> None:
    examples = list(turn_examples(turns, range(len(turns)), task="t", conversation="0"))
    said = [turn for turn in turns if turn]
    assert [example.reply for example in examples] == said
    assert [list(example.context) for example in examples] == [said[:at] for at in range(len(said))]


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"a \ud83d b", "a  b"),
        (r"\ude00", ""),
        (r"\ude00\ud83d", ""),
        (r"\ud83d\ude00 \ud83d", "\U0001f600 "),
        (r"\\ud83d", r"\ud83d"),
    ],
)
def test_half_an_emoji_is_left_out_wherever_json_is_read(
    escaped: str, text: str, tmp_path: Path
) -> None:
    row = f'{{"said": [["{escaped}", 1]]}}'
    path = tmp_path / "rows.json"
    path.write_text(row, encoding="utf-8")
    assert read_json(path, Row) == Row([(text, 1)])
    assert list(read_json_lines(path, Row)) == [(1, Row([(text, 1)]))]
    path.write_text(f"[{row}, {row}]", encoding="utf-8")
    assert list(read_rows(path, Row)) == [Row([(text, 1)])] * 2


def test_half_an_emoji_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    for text, message in (
        (r'{"said": [["\ud83d", "x"]]}', r"rows\.json: line 1: said\.0\.1: .*, got 'x'$"),
        (r'{"said": "\ud83d', r"rows\.json: line 1: Invalid JSON"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            list(read_json_lines(path, Row))


def test_files_that_were_put_together_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    line = b'\xef\xbb\xbf{"said": []}\r\n'
    path.write_bytes(line + line + line.strip())
    assert [number for number, _ in read_json_lines(path, Row)] == [1, 2, 3]


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=60) | JSON_TEXT.map(str.encode))
def test_any_file_is_rows_or_one_line(content: bytes) -> None:
    with TemporaryDirectory() as name:
        path = Path(name, "file")
        path.write_bytes(content)
        for reader in (
            lambda: read_json(path, Row),
            lambda: list(read_rows(path, Row)),
            lambda: list(read_json_lines(path, Row)),
            lambda: list(read_csv(path, ["a", "b"])),
        ):
            with suppress(DataError):
                reader()
