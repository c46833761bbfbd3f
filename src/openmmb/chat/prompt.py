"""Where a person types in a terminal: there at once, while the model is still being loaded.

Nothing here imports PyTorch. Loading goes on in a thread; what it shows appears above the prompt.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Final, Generic, TypeVar

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.shortcuts import CompleteStyle

T = TypeVar("T")

ASK: Final = "Leave? Ctrl-C again leaves; /save FILE keeps the conversation."
"""Shown at the first Ctrl-C on an empty line."""
LOADING: Final = "loading ..."


class Opening(Generic[T]):
    """Something that is made in a thread of its own.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self.future: Future[T] = Future()
        self._make = make
        # Whoever leaves before it is there does not wait for it.
        Thread(target=self._run, name="opening", daemon=True).start()

    def _run(self) -> None:
        try:
            self.future.set_result(self._make())
        except BaseException as error:  # raised where the result is waited for
            self.future.set_exception(error)


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


class Prompt:
    """Reads lines, also while what is to do them is being made.

    Args:
        opening: What is being made.
    """

    def __init__(self, opening: "Opening[T]") -> None:
        self._future = opening.future
        self._session: PromptSession[str] = PromptSession(
            FormattedText([("bold ansigreen", "you  ")]),
            history=History(str(_state_folder() / "history")),
            auto_suggest=AutoSuggestFromHistory(),
            completer=_Completions(opening.future),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,  # a menu would keep eight lines free
            key_bindings=_bind_keys(),
            placeholder=self._placeholder,
        )

    def lines(self) -> Iterator[str]:
        """Yield what is entered, up to the end of input or the second Ctrl-C in a row.

        Raises:
            Exception: What has kept the model from being loaded, as soon as it has.
        """
        asked = False
        with suppress(EOFError):
            while True:
                try:
                    line = self._read()
                except KeyboardInterrupt:
                    if asked:
                        return
                    tell(ASK)
                    asked = True
                    continue
                asked = False
                yield line

    def _read(self) -> str:
        if self._future.done():
            self._future.result()
            return self._session.prompt()
        with patch_stdout(raw=True):  # what the thread shows goes above the prompt
            return self._session.prompt(pre_run=self._watch)

    def _watch(self) -> None:
        """Hear from the thread when it is done: show that, and where it has failed, end."""
        app = get_app()
        loop = app.loop
        assert loop is not None  # it runs

        def show() -> None:
            error = self._future.exception()
            if error is None:
                app.invalidate()
            elif app.is_running and not app.is_done:
                app.exit(exception=error)

        def hear(_: object) -> None:
            with suppress(RuntimeError):  # a line came first, and its loop has ended
                loop.call_soon_threadsafe(show)

        self._future.add_done_callback(hear)

    def _placeholder(self) -> FormattedText:
        return FormattedText([] if self._future.done() else [("ansibrightblack", LOADING)])


def tell(text: str) -> None:
    """Show something about the chat itself."""
    print_formatted_text(FormattedText([("ansibrightblack", text)]))


class _Completions(Completer):
    """Completes what is entered, once the thread has imported what knows how."""

    def __init__(self, future: "Future[T]") -> None:
        self._future = future

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Yield what the entry so far may go on with."""
        if self._future.done():
            from openmmb.chat.completion import Completions

            yield from Completions().get_completions(document, complete_event)


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
