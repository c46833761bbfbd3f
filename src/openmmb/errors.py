"""What a user can do wrong, as one tree. Each message says where, what, and what was expected.

OpenMMBError
├── ConfigError       a recipe, a setting or a flag
├── DataError         a data set's file
├── ImageError        a picture
├── CheckpointError   a model's folder
└── TrainingError     a training run that cannot go on
"""

import difflib
from collections.abc import Collection

LONGEST_LINE = 5000
"""Characters of a line of a message: more than any path has."""


class OpenMMBError(Exception):
    """A user's mistake; the command line prints it as one line and exits with 2.

    Args:
        message: What is wrong; the middle of a line that quotes a book is left out.
    """

    def __init__(self, message: str = "") -> None:
        lines = message.split("\n")
        super().__init__("\n".join(map(_without_middle, lines)))


def _without_middle(line: str) -> str:
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]}...{line[-half:]}"


class ConfigError(OpenMMBError):
    """A recipe, a setting or a flag is missing, unknown or of the wrong type."""


class DataError(OpenMMBError):
    """A data set's file is missing or malformed."""


class ImageError(OpenMMBError):
    """A picture is missing, too large, or not a picture."""


class CheckpointError(OpenMMBError):
    """A checkpoint folder lacks a file, or a file does not fit the others."""


class TrainingError(OpenMMBError):
    """A training run cannot go on: its loss is no longer finite, or its disk is full."""


def shorten(text: str) -> str:
    """Cut what a message quotes, so that it stays one line."""
    return text if len(text) <= 80 else f"{text[:77]}..."


def unknown(what: str, name: str, known: Collection[str], *, many: str = "") -> str:
    """Say that there is no ``what`` called ``name``, with the nearest name or with all there are.

    Where these are too many to list, ``many`` says instead where they are listed.

    >>> unknown("data set", "convai", ["convai2", "flickr8k"])
    "no data set 'convai'; did you mean 'convai2'?"
    """
    near = difflib.get_close_matches(name, known, n=1)
    listed = many or f"expected one of {', '.join(sorted(known))}"
    hint = f"did you mean {near[0]!r}?" if near else listed
    return f"no {what} {shorten(name)!r}" + (f"; {hint}" if known else "")
