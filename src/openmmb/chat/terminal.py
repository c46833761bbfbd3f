"""The chat in a terminal, and the same without decoration where input or output is a pipe."""

import sys
from collections.abc import Callable, Iterator

from openmmb.chat.bot import Bot
from openmmb.chat.commands import Quit, handle
from openmmb.chat.conversation import EMPTY, Conversation
from openmmb.chat.screen import PipeScreen, TerminalScreen
from openmmb.chat.session import Session
from openmmb.chat.strict import MAX_CHARACTERS
from openmmb.chat.waiting import chat_while_loading, on_terminal
from openmmb.errors import OpenMMBError


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
    if on_terminal():
        chat_while_loading(lambda: begin_chat(bot, conversation, seed=seed, open_bot=open_bot))
        return True
    piped = PipeScreen()
    session = Session(bot, piped, conversation, seed=seed, open_bot=open_bot)
    done = _talk_in_pipe(session, piped)
    _tell_refused(session)
    return done


def begin_chat(
    bot: Bot,
    conversation: Conversation = EMPTY,
    *,
    seed: int = 0,
    open_bot: Callable[[str], Bot] | None = None,
) -> Session:
    """Begin a chat on a terminal whose prompt is there: greet, and speak first about a picture.

    The arguments are those of ``chat_with``.
    """
    screen = TerminalScreen()
    screen.still = True
    session = Session(bot, screen, conversation, seed=seed, open_bot=open_bot)
    screen.note(f"{bot.engine.config.name}. /help shows the commands.")
    _speak_first(session)
    return session


def do_line(line: str, session: Session) -> bool:
    """Do a line of a terminal, which Ctrl-C takes back; say whether the chat goes on."""
    if isinstance(session.screen, TerminalScreen):
        session.screen.still = False  # the prompt has gone
    try:
        handle(line, session)
    except OpenMMBError as error:
        session.screen.complain(str(error))
    except KeyboardInterrupt:
        session.screen.note("stopped")
    except Quit:
        return False
    return True


def end_chat(session: Session) -> None:
    """Take leave on a terminal."""
    _tell_refused(session)
    session.screen.note("Goodbye.")


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
