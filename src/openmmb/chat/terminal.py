"""The chat in a terminal, and the same without decoration where input or output is a pipe."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.shortcuts import CompleteStyle

from openmmb.chat.bot import Bot
from openmmb.chat.commands import Quit, handle
from openmmb.chat.completion import Completions
from openmmb.chat.conversation import EMPTY, Conversation
from openmmb.chat.screen import PipeScreen, TerminalScreen
from openmmb.chat.session import Session
from openmmb.chat.strict import MAX_CHARACTERS
from openmmb.errors import OpenMMBError

ASK: Final = "Leave? Ctrl-C again leaves; /save FILE keeps the conversation."
"""Shown at the first Ctrl-C on an empty line."""


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


def chat_with(
    bot: Bot,
    conversation: Conversation = EMPTY,
    *,
    seed: int = 0,
    open_bot: Callable[[str], Bot] | None = None,
) -> bool:
    """Talk until the person leaves: on a terminal with line editing, from a pipe line by line.

    The bot speaks first if there is a picture and nothing has been said. From a pipe, each line
    gets one line: the reply, or an empty one.

    Args:
        bot: Whom they talk to.
        conversation: What was said before.
        seed: Decides the draws of a search that draws.
        open_bot: Opens another model by its name.

    Returns:
        Whether every line of a pipe could be done; of a terminal, True.
    """
    on_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    if not on_terminal:
        piped = PipeScreen()
        session = Session(bot, piped, conversation, seed=seed, open_bot=open_bot)
        done = _talk_in_pipe(session, piped)
        _tell_refused(session)
        return done
    screen = TerminalScreen()
    session = Session(bot, screen, conversation, seed=seed, open_bot=open_bot)
    screen.note(f"{bot.engine.config.name}. /help shows the commands.")
    with suppress(KeyboardInterrupt):
        _talk(session)
    _tell_refused(session)
    screen.note("Goodbye.")
    return True


def _tell_refused(session: Session) -> None:
    """Show what the guard counted, if it refused anything."""
    if session.counts.messages.refused or session.counts.replies.refused:
        session.screen.note(str(session.counts))


def _speak_first(session: Session) -> bool:
    """Let the bot say something about a picture of which nothing was said; say whether it did."""
    silent = session.conversation.picture is None or bool(session.conversation.turns)
    if not silent:
        session.describe_picture()
    return not silent


def _talk(session: Session) -> None:
    """Do one line after the other; Ctrl-C takes back the line that is being done."""
    _speak_first(session)
    for line in _read_terminal(session):
        try:
            handle(line, session)
        except OpenMMBError as error:
            session.screen.complain(str(error))
        except KeyboardInterrupt:
            session.screen.note("stopped")
        except Quit:
            return


def _talk_in_pipe(session: Session, screen: PipeScreen) -> bool:
    """Do one line after the other; say whether all could be done."""
    if _speak_first(session):
        screen.end_line()
    done = True
    for number, line in enumerate(_read_pipe(), start=1):
        try:
            handle(line, session)
        except OpenMMBError as error:
            screen.complain(f"line {number}: {error}")
            done = False
        except Quit:
            screen.end_line()
            break
        screen.end_line()
    return done


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


def _read_terminal(session: Session) -> Iterator[str]:
    """Yield what is entered, up to the end of input or the second Ctrl-C in a row."""
    prompt: PromptSession[str] = PromptSession(
        FormattedText([("bold ansigreen", "you  ")]),
        history=History(str(_state_folder() / "history")),
        auto_suggest=AutoSuggestFromHistory(),
        completer=Completions(),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,  # a menu would keep eight lines free
        key_bindings=_bind_keys(),
    )
    asked = False
    with suppress(EOFError):
        while True:
            try:
                line = prompt.prompt()
            except KeyboardInterrupt:
                if asked:
                    return
                session.screen.note(ASK)
                asked = True
                continue
            asked = False
            yield line


def _bind_keys() -> KeyBindings:
    """Return what keys do other than usual: Ctrl-C, and Enter within what is pasted."""
    keys, editing = KeyBindings(), has_focus(DEFAULT_BUFFER)

    @keys.add("c-c", filter=editing)
    def clear(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt(), style="class:aborting")

    @keys.add("enter", filter=editing)
    def enter(event: KeyPressEvent) -> None:
        # A terminal without bracketed paste sends all lines at once; nobody types as fast. Lines
        # of commands stay lines of their own.
        waiting = [press.key for press in event.app.key_processor.input_queue]
        pasted = any(not isinstance(key, Keys) for key in waiting)
        if pasted and not event.current_buffer.text.startswith("/"):
            event.current_buffer.insert_text("\n")
        else:
            event.current_buffer.validate_and_handle()

    return keys


def _state_folder() -> Path:
    """Return where programs keep what they remember, as the XDG specification says."""
    configured = os.environ.get("XDG_STATE_HOME")
    with suppress(RuntimeError):  # a person without a home
        return Path(configured or Path.home() / ".local" / "state") / "openmmb"
    return Path(os.devnull)
