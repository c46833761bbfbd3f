"""The chat in a terminal, and the same without decoration where input or output is a pipe."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.shortcuts import CompleteStyle
from rich.console import Console
from rich.table import Table
from rich.text import Text

from openmmb.chat.bot import Bot
from openmmb.chat.conversation import EMPTY, Conversation
from openmmb.chat.session import COMMANDS, Quit, Session
from openmmb.chat.strict import MAX_CHARACTERS
from openmmb.errors import OpenMMBError
from openmmb.text.printable import printable

PATH_COMMANDS = ("/image", "/save", "/load")
"""Commands that take a file name."""


class PipeScreen:
    """Replies on standard output, a line each, and all else on standard error."""

    def say(self, text: str) -> None:
        """Show what the bot says."""
        print(printable(text), flush=True)

    def note(self, text: str) -> None:
        """Show something about the chat itself."""
        print(printable(text), file=sys.stderr, flush=True)

    def complain(self, text: str) -> None:
        """Show why a line could not be done."""
        self.note(text)

    def agrees(self, question: str) -> bool:
        """Ask nobody: a script has to say it itself."""
        del question
        return False

    def thinking(self) -> AbstractContextManager[object]:
        """Show nothing."""
        return nullcontext()


class TerminalScreen:
    """Colours, and a spinner while the bot thinks."""

    def __init__(self) -> None:
        self._console = Console()

    def say(self, text: str) -> None:
        """Show what the bot says."""
        columns = Table.grid(padding=(0, 2))
        columns.add_row(Text("bot", "bold cyan"), Text(printable(text)))
        self._console.print(columns)

    def note(self, text: str) -> None:
        """Show something about the chat itself."""
        self._console.print(Text(printable(text), "dim"))

    def complain(self, text: str) -> None:
        """Show why a line could not be done."""
        self._console.print(Text(printable(text), "yellow"))

    def agrees(self, question: str) -> bool:
        """Ask; anything but yes is no."""
        answer = self._console.input(Text(f"{printable(question)} [y/N] ", "yellow"))
        return answer.strip().lower() in ("y", "yes")

    def thinking(self) -> AbstractContextManager[object]:
        """Show a spinner."""
        return self._console.status("thinking ...")


class History(FileHistory):
    """What was entered before; where the file cannot be used, of this chat only."""

    def load_history_strings(self) -> Iterable[str]:
        """Yield the entries of earlier chats, the newest first."""
        try:
            return super().load_history_strings()
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        """Keep an entry for later chats, in a file that only its owner may read."""
        with suppress(OSError, UnicodeError):
            path = Path(os.fsdecode(self.filename))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            super().store_string(string)


class Completions(Completer):
    """Completes commands, and the names of files after those that take one."""

    def __init__(self) -> None:
        self._paths = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Yield what the entry so far may go on with."""
        entered = document.text_before_cursor
        command, space, path = entered.partition(" ")
        if space and command in PATH_COMMANDS:
            yield from self._paths.get_completions(Document(path), complete_event)
        elif entered.startswith("/") and not space:
            names = [name for name in COMMANDS if name.startswith(entered)]
            yield from (Completion(name, start_position=-len(entered)) for name in names)


def chat_with(bot: Bot, conversation: Conversation = EMPTY) -> None:
    """Talk until the person leaves: on a terminal with line editing, from a pipe line by line.

    The bot speaks first if there is a picture. Ctrl-C leaves at any moment.
    """
    on_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    screen = TerminalScreen() if on_terminal else PipeScreen()
    session = Session(bot, screen, conversation)
    if not on_terminal:
        _talk(session, _read_pipe())
        _tell_refused(session)
        return
    screen.note(f"{bot.engine.config.name}. /help shows the commands.")
    with suppress(KeyboardInterrupt):
        _talk(session, _read_terminal())
    _tell_refused(session)
    screen.note("Goodbye.")


def _tell_refused(session: Session) -> None:
    """Show what the guard counted, if it refused anything."""
    if session.counts.messages.refused or session.counts.replies.refused:
        session.guard("")


def _talk(session: Session, lines: Iterator[str]) -> None:
    """Do one line after the other."""
    if session.conversation.picture is not None:
        session.describe_picture()
    for line in lines:
        try:
            session.handle(line)
        except OpenMMBError as error:
            session.screen.complain(str(error))
        except Quit:
            return


def _read_pipe() -> Iterator[str]:
    """Yield the lines of standard input, which may be closed.

    A line that is too long for a message is cut where that shows, so that it is refused.
    """
    if sys.stdin is None:
        return
    whole = True
    while line := sys.stdin.readline(MAX_CHARACTERS + 2):
        if whole:
            yield line
        whole = line.endswith("\n")


def _read_terminal() -> Iterator[str]:
    """Yield what is entered, up to the end of input."""
    prompt: PromptSession[str] = PromptSession(
        FormattedText([("bold ansigreen", "you  ")]),
        history=History(str(_state_folder() / "history")),
        auto_suggest=AutoSuggestFromHistory(),
        completer=Completions(),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,  # a menu would keep eight lines free
    )
    with suppress(EOFError):
        while True:
            yield prompt.prompt()


def _state_folder() -> Path:
    """Return where programs keep what they remember, as the XDG specification says."""
    configured = os.environ.get("XDG_STATE_HOME")
    with suppress(RuntimeError):  # a person without a home
        return Path(configured or Path.home() / ".local" / "state") / "openmmb"
    return Path(os.devnull)
