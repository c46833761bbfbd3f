"""Where a chat is shown: a terminal, or the two streams of a pipe."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from openmmb.text.printable import printable


class Screen(Protocol):
    """Where a chat is shown."""

    def say(self, text: str) -> None:
        """Show what the bot says."""
        ...

    def note(self, text: str) -> None:
        """Show something about the chat itself."""
        ...

    def complain(self, text: str) -> None:
        """Show why a line could not be done."""
        ...

    def agrees(self, question: str) -> bool:
        """Ask whether something may be done; where nobody can be asked, it may not."""
        ...

    def thinking(self) -> AbstractContextManager[object]:
        """Show that the bot thinks, for as long as it does."""
        ...


class PipeScreen:
    """Replies on standard output, a line for each line that is read, and all else on the other."""

    def __init__(self) -> None:
        self._answered = False

    def say(self, text: str) -> None:
        """Show what the bot says."""
        self._answered = True
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

    def end_line(self) -> None:
        """End what a line gets: an empty line where the bot said nothing."""
        if not self._answered:
            print(flush=True)
        self._answered = False


class TerminalScreen:
    """Colours, and a spinner while the bot thinks.

    Attributes:
        still: Show nothing that moves, since the prompt is there.
    """

    def __init__(self) -> None:
        self.still = False
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
        try:
            answer = self._console.input(Text(f"{printable(question)} [y/N] ", "yellow"))
        except (EOFError, KeyboardInterrupt):
            self._console.print()
            return False
        return answer.strip().lower() in ("y", "yes")

    def thinking(self) -> AbstractContextManager[object]:
        """Show a spinner."""
        if self.still:
            return nullcontext()
        return self._console.status("thinking ...")
