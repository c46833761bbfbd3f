"""What every data set needs: its raw files, checked, and its turns as examples."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from openmmb.data.example import Example
from openmmb.errors import DataError, shorten

T = TypeVar("T")


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
    try:
        return TypeAdapter(cls).validate_json(_read_bytes(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ": ".join(
            [str(path), *([".".join(map(str, first["loc"]))] if first["loc"] else [])]
        )
        message = f"{where}: {first['msg']}"
        if first["type"] != "json_invalid":
            message += f", got {shorten(repr(first['input']))}"
        raise DataError(message) from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line that is not empty.

    Raises:
        DataError: The file cannot be read or is not UTF-8.
    """
    # Not splitlines: it would also split at form feeds and the like within a text.
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if line := line.removesuffix("\r"):
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
        raise DataError(f"{path}: line {rows.line_num}: not CSV: {error}") from error


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


def _read_text(path: Path) -> str:
    try:
        return _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
