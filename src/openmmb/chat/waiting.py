"""A chat on a terminal that begins before its model is loaded."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from openmmb.chat.prompt import LOADING, Opening, Prompt, tell

if TYPE_CHECKING:
    from openmmb.chat.session import Session


def on_terminal() -> bool:
    """Say whether a person sits at both ends, not a pipe."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def chat_while_loading(open_session: Callable[[], "Session"]) -> bool:
    """Show the prompt, load, and talk until the person leaves.

    Args:
        open_session: Loads the model and begins the chat, as ``terminal.begin_chat`` does. It is
            called in a thread of its own.

    Returns:
        Whether that had ended when the person left; otherwise the thread still runs.

    Raises:
        Exception: What it raises, as soon as it does.
    """
    opening = Opening(open_session)
    loaded = opening.future
    with suppress(KeyboardInterrupt):
        for line in Prompt(opening).lines():
            if not loaded.done() and line.strip():
                tell(LOADING)
            try:
                session = loaded.result()
            except KeyboardInterrupt:
                tell("stopped")
                continue
            from openmmb.chat.terminal import do_line

            if not do_line(line, session):
                break
    if not loaded.done():
        tell("Goodbye.")
        return False
    from openmmb.chat.terminal import end_chat

    end_chat(loaded.result())
    return True
