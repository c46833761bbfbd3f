"""What Tab completes in a chat: commands, styles, models, and the names of files."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from openmmb.chat.commands import COMMANDS, DEFAULT, REPLACE
from openmmb.chat.conversation import NO_STYLE
from openmmb.data.styles import known_styles

PATH_COMMANDS: Final = ("/image", "/save", "/load", "/model")
"""Commands that take a path."""
_SPECIAL: Final = re.compile(r"([\s'\"\\()&;$`!#*?\[\]{}<>|])")
"""Characters that have a backslash before them where a path is written with such."""


class Completions(Completer):
    """Completes what is entered."""

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Yield what the entry so far may go on with."""
        del complete_event
        entered = document.text_before_cursor
        command, space, words = entered.partition(" ")
        if not space:
            yield from _of(entered, COMMANDS if entered.startswith("/") else ())
        elif command == "/style":
            yield from _of(words, (*known_styles(), NO_STYLE, DEFAULT))
        elif command in PATH_COMMANDS:
            yield from complete_path(words.removeprefix(f"{REPLACE} "))


def complete_path(text: str) -> Iterator[Completion]:
    """Yield the files and folders whose names begin as a path does, which may be quoted.

    A folder ends in a slash, so that Tab goes on in it; a file in a quote, where one is open.
    """
    quote = text[0] if text[:1] in ("'", '"') else ""
    body = text.removeprefix(quote)
    escaped = not quote and os.name != "nt" and "\\" in body
    plain = re.sub(r"\\(.)", r"\1", body) if escaped else body
    folder, slash, beginning = plain.rpartition("/")
    typed = len(body.rpartition("/")[2])
    for name, is_folder in _entries(folder + slash):
        if not name.startswith(beginning) or (name.startswith(".") and not beginning):
            continue
        shown = _SPECIAL.sub(r"\\\1", name) if escaped else name
        yield Completion(shown + ("/" if is_folder else quote), start_position=-typed)


def _entries(folder: str) -> list[tuple[str, bool]]:
    """Return what is in a folder, by name, and whether it is one; nothing if it cannot be read."""
    with suppress(OSError, RuntimeError, ValueError):
        path = Path(folder or ".").expanduser()
        return sorted((entry.name, entry.is_dir()) for entry in path.iterdir())
    return []


def _of(beginning: str, names: Iterable[str]) -> Iterator[Completion]:
    lower = beginning.lower()
    for name in names:
        if name.lower().startswith(lower):
            yield Completion(name, start_position=-len(beginning))
