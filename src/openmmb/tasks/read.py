"""What every data set needs: its raw files, checked, and its turns as examples."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

from pydantic import TypeAdapter, ValidationError

from openmmb.data.example import Example
from openmmb.errors import DataError, shorten
from openmmb.files import open_text, read_text

T = TypeVar("T")

MARK = "\ufeff"
"""What some editors put before a text in UTF-8."""
LONGEST_MESSAGE = 400
"""Characters of a message, but for what comes before and what it quotes itself."""
_CHUNK = 2**22
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_HALVES = re.compile("[\ud800-\udfff]")
_BLANK = frozenset(" \t\n\r")


def find_file(root: Path, *names: str) -> Path:
    """Return the first of ``names`` that is a file under ``root``.

    Raises:
        DataError: There is none.
    """
    for name in names:
        if (root / name).is_file():
            return root / name
    raise DataError(f"{root}: no file {' or '.join(names)}")


def read_json(path: Path, cls: type[T]) -> T:
    """Read a JSON file that must fit ``cls``; keys that ``cls`` does not name are left out.

    Raises:
        DataError: The file cannot be read, is not JSON, or does not fit.
    """
    text = read_text(path, error=DataError)
    try:
        return fit(TypeAdapter(cls), text)
    except ValidationError as error:
        raise DataError(_explain(str(path), error)) from None


def read_rows(path: Path, cls: type[T]) -> Iterator[T]:
    """Yield the elements of a JSON array, each of which must fit ``cls``.

    They are read one after the other: some published files hold gigabytes of candidate replies.

    Raises:
        DataError: The file cannot be read, is not a JSON array, or an element does not fit; says
            which, counted from 0.
    """
    adapter = TypeAdapter(cls)
    for number, value in enumerate(_elements(path)):
        try:
            yield adapter.validate_python(value)
        except ValidationError as error:
            raise DataError(_explain(f"{path}: {number}", error, ".")) from None


def read_json_lines(path: Path, cls: type[T]) -> Iterator[tuple[int, T]]:
    """Yield the number, from 1, and the content of each line, a JSON value that must fit ``cls``.

    Raises:
        DataError: The file cannot be read, or a line is not JSON or does not fit; says which.
    """
    adapter = TypeAdapter(cls)
    for number, line in read_lines(path):
        try:
            yield number, fit(adapter, line)
        except ValidationError as error:
            raise DataError(_explain(f"{path}: line {number}", error)) from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line that is not empty.

    A mark that editors put before a text is no part of a line.

    Raises:
        DataError: The file cannot be read or is not UTF-8.
    """
    # Not splitlines: it would also split at form feeds and the like within a text.
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        # Files that were put together have their marks at the beginning of a line.
        if line := line.removesuffix("\r").removeprefix(MARK):
            yield number, line


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file whose first line names ``columns``.

    Raises:
        DataError: The file cannot be read, has other columns, or a row has too few or too many.
    """
    # A stream ends its lines at line breaks only, where splitlines would also at form feeds.
    rows = csv.reader(io.StringIO(_read_text(path), newline=""), strict=True)
    try:
        header = next(rows, [])
        if header != list(columns):
            raise DataError(
                f"{path}: line 1: columns are {','.join(header)!r}, expected {','.join(columns)!r}"
            )
        for row in rows:
            if len(row) != len(columns):
                raise DataError(
                    f"{path}: line {rows.line_num}: {len(row)} columns, expected {len(columns)}"
                )
            yield dict(zip(columns, row, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}: line {rows.line_num}: expected CSV: {error}") from error


def turn_examples(
    turns: Sequence[str],
    replies: Iterable[int],
    *,
    task: str,
    conversation: str,
    opening: tuple[str, ...] = (),
    personas: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
) -> Iterator[Example]:
    """Yield an example for each reply, with all that came before it as context.

    A turn without a word is no reply and is left out of the contexts.

    Args:
        turns: Two speakers by turns.
        replies: Which turns are replies, as positions from 0.
        task: Name of the data set.
        conversation: Identifies the conversation within it.
        opening: Lines that come before the first turn in every context.
        personas: Of the speaker of turns 0, 2, ..., and of the speaker of turns 1, 3, ...
    """
    for at in replies:
        if turns[at]:
            yield Example(
                context=(*opening, *(turn for turn in turns[:at] if turn)),
                reply=turns[at],
                task=task,
                conversation=conversation,
                persona=personas[at % 2],
            )


def fit(adapter: TypeAdapter[T], text: str) -> T:
    """Parse JSON that must fit.

    A half of a surrogate pair, such as what is left of an emoji that was cut in two, is no
    character and is left out. Pydantic refuses a text that has one.

    Raises:
        ValidationError: It is not JSON, or does not fit.
    """
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] != "json_invalid" or not _HALF.search(text):
            raise
        try:
            plain = _without_halves(json.loads(text))
        except (ValueError, RecursionError):
            raise error from None
        return adapter.validate_json(json.dumps(plain))


def _without_halves(value: Any) -> Any:
    if isinstance(value, str):
        return _HALVES.sub("", value)
    if isinstance(value, list):
        return [_without_halves(one) for one in value]
    if isinstance(value, dict):
        return {_without_halves(key): _without_halves(one) for key, one in value.items()}
    return value


class _Stream:
    """JSON text of which only a part is in memory."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text, self._at = "", 0
        self._decoder = json.JSONDecoder()

    def value(self) -> Any:
        """Parse the value that is next."""
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if not self._more():
                    raise
            else:
                begin, self._at = self._at, end
                halves = _HALF.search(self._text, begin, end)
                return _without_halves(value) if halves else value

    def take(self, *marks: str, or_nothing: bool = False) -> str:
        """Go past the mark that is next and return it."""
        character = self._peek()
        if character in marks:
            self._at += 1
        elif or_nothing:
            return ""
        else:
            what = f"Expecting {' or '.join(map(repr, marks))}"
            raise json.JSONDecodeError(what, self._text, self._at)
        return character

    def _peek(self) -> str:
        """Return the next character that is not blank; nothing at the end."""
        while True:
            while self._text[self._at : self._at + 1] in _BLANK:
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def _more(self) -> bool:
        more = self._file.read(max(_CHUNK, len(self._text)))
        self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)


def _elements(path: Path) -> Iterator[Any]:
    """Parse the elements of an array."""
    number = 0
    try:
        with open_text(path, error=DataError) as file:
            stream = _Stream(file)
            stream.take("[")
            end = stream.take("]", or_nothing=True)
            while end != "]":
                yield stream.value()
                number += 1
                end = stream.take(",", "]")
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: expected a JSON array: {error.msg} at element {number}") from None
    except (RecursionError, ValueError) as error:  # too deep, a number of thousands of digits
        reason = str(error).partition(";")[0]
        raise DataError(f"{path}: expected a JSON array: {reason} at element {number}") from None


def _explain(where: str, error: ValidationError, mark: str = ": ") -> str:
    first = error.errors(include_url=False)[0]
    if first["loc"]:
        where += mark + ".".join(map(str, first["loc"]))
    if first["type"] == "unexpected_keyword_argument":
        return f"{where}: no such key"
    # JSON that is none is quoted by its message; a check of our own names the value itself.
    quoted = first["type"] in ("json_invalid", "value_error")
    message = first["msg"].removeprefix("Value error, ")
    if len(message) > LONGEST_MESSAGE:  # it quotes a text
        message = f"{message[:LONGEST_MESSAGE]}..."
    return f"{where}: {message}" + ("" if quoted else f", got {shorten(repr(first['input']))}")


def _read_text(path: Path) -> str:
    with open_text(path, error=DataError, newline="") as file:
        return file.read()
