"""What people may enter in a chat beside what they say: lines that begin with a slash."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from openmmb.chat.conversation import NO_STYLE
from openmmb.chat.conversation_file import is_taken, read_conversation, write_conversation
from openmmb.chat.request import tidy_entry
from openmmb.chat.session import Session
from openmmb.chat.typed_path import is_dropped_picture, parse_path, parse_picture
from openmmb.data.styles import find_style, known_styles
from openmmb.errors import ConfigError, ImageError, OpenMMBError, shorten, unknown

HELP: Final = """\
/image PATH     show a picture; it stays until the next one; /image none takes it away
/style WORDS    how the bot talks: positive/neutral, negative, a trait such as Curious;
                /style none for no style, /style default for the model's own;
                /style alone lists them all
/persona LINE   add a line about who the bot is; /persona none forgets them all
/retry          ask for another reply in the place of the last one
/undo           take back the last message and its reply, or what else was changed last
/reset          start over; picture, style and persona stay
/save FILE      write the conversation to a file, as JSON; it asks before it replaces one,
                /save --replace FILE does not
/load FILE      go on with a conversation from such a file
/model NAME     go on with another model: its folder, or its ORG/NAME on the hub
/seed NUMBER    decide the draws of a search that draws
/guard          how much the guard judged and refused
/help           this text
/quit           leave; so do exit, Ctrl-D, and Ctrl-C twice
Anything else is said to the bot."""

LEAVING: Final = ("exit", "quit")
"""What people type to leave wherever they are."""
NOTHING: Final = "none"
"""Takes away the picture or the persona."""
DEFAULT: Final = "default"
"""Leaves the style to the model."""
REPLACE: Final = "--replace"
"""Says before the name of a file that one that is there may be replaced."""


class Quit(Exception):  # noqa: N818 no error: the person wants to leave
    """The person wants to leave."""


def handle(line: str, session: Session) -> None:
    """Do what a line says: a command, or something for the bot.

    Raises:
        OpenMMBError: The line asks for what cannot be; nothing has changed then.
        Quit: The person wants to leave.
    """
    text = tidy_entry(line)
    if is_dropped_picture(line):
        _image(session, line.strip())
    elif text.startswith("/"):
        # What follows the command stays as it is: a path may contain what tidying removes.
        name, *rest = line[line.index("/") :].split(maxsplit=1)
        _find_command(name)(session, "".join(rest).strip())
    elif text.lower() in LEAVING:
        raise Quit
    elif text:
        session.say(text)


def _find_command(name: str) -> Callable[[Session, str], None]:
    if name in COMMANDS:
        return COMMANDS[name]
    if "/" in name[1:]:  # a file that was dropped on the terminal
        raise ConfigError(f"no command {shorten(name)!r}; did you mean /image {name}?")
    raise ConfigError(unknown("command", name, COMMANDS))


@contextmanager
def _named(command: str) -> Iterator[None]:
    """Begin what is wrong with the name of the command."""
    try:
        yield
    except OpenMMBError as error:
        raise type(error)(f"{command}: {error}") from None


def describe_style(words: str) -> str:
    """Say which style is set, and of one that no data set has, what the nearest one is."""
    if words in (NO_STYLE, DEFAULT) or words in known_styles():
        return f"style: {words}"
    hint = unknown("trait", words, known_styles(), many="/style alone lists all")
    return f"style: {words} ({hint}; the model may not know what it means)"


def name_style(words: str) -> str:
    """Return a style as models know it, however it is capitalised."""
    return words if words == NO_STYLE else find_style(words) or words


def _image(session: Session, words: str) -> None:
    """Show a picture and let the bot describe it, or take it away, or name it."""
    if words not in ("", NOTHING):
        before = session.conversation
        with session.screen.thinking():
            session.conversation = session.bot.look(parse_picture(words), before)
        try:
            session.describe_picture()
        except BaseException:  # Ctrl-C too: a picture without its description is not kept
            session.conversation = before
            raise
        session.earlier.append(before)
        return
    if words == NOTHING:
        session.change(replace(session.conversation, picture=None))
    picture = session.conversation.picture
    session.screen.note(f"picture: {NOTHING if picture is None else picture.name}")


def _style(session: Session, words: str) -> None:
    """Set how the bot talks; without words, list how it may."""
    if not words:
        styles = ", ".join((*known_styles(), NO_STYLE, DEFAULT))
        current = session.conversation.style or DEFAULT
        session.screen.note(f"style: {current}\nstyles: {styles}")
        return
    style = None if words == DEFAULT else name_style(session.bot.admit_style(words))
    session.change(replace(session.conversation, style=style))
    session.screen.note(describe_style(style or DEFAULT))


def _persona(session: Session, words: str) -> None:
    """Add a line to who the bot is, or forget them all, and show it."""
    if words:
        added = (*session.conversation.persona, session.bot.admit(words))
        session.change(replace(session.conversation, persona=() if words == NOTHING else added))
    session.screen.note("persona: " + ("\n".join(session.conversation.persona) or NOTHING))


def _retry(session: Session, _: str) -> None:
    """Ask for another reply."""
    session.say_otherwise()


def _undo(session: Session, _: str) -> None:
    """Take back what was said or changed last."""
    text = session.undo()
    session.screen.note("took back the last change" if text is None else f"took back: {text}")


def _reset(session: Session, _: str) -> None:
    """Forget what was said."""
    session.change(replace(session.conversation, turns=()))
    session.screen.note("started over")


def _save(session: Session, words: str) -> None:
    """Write the conversation to a file."""
    flag, _, rest = words.partition(" ")
    replaces = flag == REPLACE
    name = rest.strip() if replaces else words
    if not name:
        raise ConfigError("/save: no file name; use /save FILE")
    target = parse_path(name)
    with _named("/save"):
        question = f"{target}: is a conversation. Replace it?"
        if is_taken(target) and not (replaces or session.screen.agrees(question)):
            raise ConfigError(f"{target}: is there, and stays; use /save {REPLACE} FILE")
        write_conversation(target, session.conversation)
    session.screen.note(f"saved to {target}")


def _load(session: Session, words: str) -> None:
    """Go on with a conversation from a file, if the guard lets all of it pass."""
    if not words:
        raise ConfigError("/load: no file name; use /load FILE")
    source = parse_path(words)
    with _named("/load"), session.screen.thinking():
        conversation = read_conversation(source, session.bot)
    session.change(conversation)
    session.screen.note(f"loaded from {source}")


def _model(session: Session, words: str) -> None:
    """Go on with another model, or name this one."""
    if words:
        if session.open_bot is None:
            raise ConfigError("/model: this chat has one model; start another chat for another")
        bot, conversation = session.open_bot(str(parse_path(words))), session.conversation
        if conversation.picture is not None:
            try:
                conversation = bot.look(conversation.picture, conversation)
            except ImageError:
                conversation = replace(conversation, picture=None)
                session.screen.note("picture: none, for this model sees others; use /image again")
        session.change(conversation)
        session.bot, session.last = bot, None
    session.screen.note(f"model: {session.bot.engine.config.name}")


def _seed(session: Session, words: str) -> None:
    """Set the seed, or show it."""
    if words:
        try:
            seed = int(words)
        except ValueError:
            raise ConfigError(f"/seed: expected a whole number, got {shorten(words)!r}") from None
        if not -(2**63) <= seed < 2**63:
            raise ConfigError("/seed: expected a number that fits into 64 bits")
        session.seed = seed
    session.screen.note(f"seed: {session.seed}")


def _guard(session: Session, _: str) -> None:
    """Show what the guard judged and refused."""
    session.screen.note(str(session.counts))


def _help(session: Session, _: str) -> None:
    """Show the commands."""
    session.screen.note(HELP)


def _quit(_: Session, __: str) -> None:
    """Leave."""
    raise Quit


COMMANDS: Final[dict[str, Callable[[Session, str], None]]] = {
    "/image": _image,
    "/style": _style,
    "/persona": _persona,
    "/retry": _retry,
    "/undo": _undo,
    "/reset": _reset,
    "/save": _save,
    "/load": _load,
    "/model": _model,
    "/seed": _seed,
    "/guard": _guard,
    "/help": _help,
    "/quit": _quit,
}
