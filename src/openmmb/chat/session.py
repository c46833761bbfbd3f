"""A person's chat: what each line that they enter does to their conversation."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from openmmb.chat.bot import Bot
from openmmb.chat.conversation import EMPTY, Conversation
from openmmb.chat.request import Reply, tidy_entry
from openmmb.chat.strict import MAX_JSON
from openmmb.chat.typed_path import is_dropped_picture, parse_path, parse_picture
from openmmb.errors import ConfigError, shorten, unknown
from openmmb.files import open_text, write_whole
from openmmb.outputs import check_file
from openmmb.safety.counts import Counts

HELP = """\
/image PATH     show a picture; it stays until the next one; /image none takes it away
/style WORDS    how the bot talks: positive/neutral, negative, a trait such as Curious;
                /style none for no style, /style default for the model's own
/persona LINE   add a line about who the bot is; /persona none forgets them all
/reset          start over; picture, style and persona stay
/save FILE      write the conversation to a file, as JSON
/load FILE      go on with a conversation from such a file
/guard          how much the guard judged and refused
/help           this text
/quit           leave; so do Ctrl-C and Ctrl-D
Anything else is said to the bot."""

NOTHING = "none"
"""Takes away the picture, the style, or the persona."""

DEFAULT = "default"
"""Leaves the style to the model."""


class Quit(Exception):  # noqa: N818 no error: the person wants to leave
    """The person wants to leave."""


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


@dataclass
class Session:
    """One person's chat.

    Attributes:
        bot: Answers.
        screen: Shows.
        conversation: So far.
        counts: What the guard judged and refused in it.
    """

    bot: Bot
    screen: Screen
    conversation: Conversation = EMPTY
    counts: Counts = field(default_factory=Counts)

    def handle(self, line: str) -> None:
        """Do what a line says.

        Raises:
            OpenMMBError: The line asks for what cannot be; nothing has changed then.
            Quit: The person wants to leave.
        """
        text = tidy_entry(line)
        if is_dropped_picture(line):
            self.image(line.strip())
        elif text.startswith("/"):
            # What follows the command stays as it is: a path may contain what tidying removes.
            command, *rest = line[line.index("/") :].split(maxsplit=1)
            _find_command(command)(self, "".join(rest).strip())
        elif text:
            with self.screen.thinking():
                reply = self.bot.reply(text, conversation=self.conversation)
            self._count(reply)
            self.conversation = reply.conversation
            self.screen.say(reply.text)

    def describe_picture(self) -> None:
        """Let the bot say something about the picture, whatever was said before."""
        with self.screen.thinking():
            reply = self.bot.reply(conversation=replace(self.conversation, turns=()))
        self._count(reply)
        self.conversation = self.conversation.add("bot", reply.text)
        self.screen.say(reply.text)

    def image(self, path: str) -> None:
        """Show a picture and let the bot describe it, or take it away, or name it."""
        if path not in ("", NOTHING):
            with self.screen.thinking():
                self.conversation = self.bot.look(parse_picture(path), self.conversation)
            self.describe_picture()
            return
        if path == NOTHING:
            self.conversation = replace(self.conversation, picture=None)
        picture = self.conversation.picture
        self.screen.note(f"picture: {NOTHING if picture is None else picture.name}")

    def style(self, words: str) -> None:
        """Set how the bot talks, and show it."""
        if words:
            style = None if words == DEFAULT else self.bot.admit_style(words)
            self.conversation = replace(self.conversation, style=style)
        self.screen.note(f"style: {self.conversation.style or DEFAULT}")

    def persona(self, line: str) -> None:
        """Add a line to who the bot is, or forget them all, and show it."""
        if line:
            added = (*self.conversation.persona, self.bot.admit(line))
            self.conversation = replace(self.conversation, persona=() if line == NOTHING else added)
        self.screen.note("persona: " + ("\n".join(self.conversation.persona) or NOTHING))

    def reset(self, _: str) -> None:
        """Forget what was said."""
        self.conversation = replace(self.conversation, turns=())
        self.screen.note("started over")

    def save(self, path: str) -> None:
        """Write the conversation to a file."""
        if not path:
            raise ConfigError("/save: no file name; use /save FILE")
        target = parse_path(path)
        if check_file(target, "a conversation", is_saved):
            question = f"{target}: is a conversation. Replace it?"
            if not self.screen.agrees(question):
                raise ConfigError(f"{target}: stays as it is; use another name")
        try:
            if not target.parent.exists():  # rather than to make a folder that has a typo
                raise ConfigError(f"/save: {target.parent}: no such folder")
            write_whole(target, self.conversation.to_json() + "\n")
        except OSError as error:
            raise ConfigError(f"/save: {target}: {error.strerror}") from error
        self.screen.note(f"saved to {target}")

    def load(self, path: str) -> None:
        """Go on with a conversation from a file, if the guard lets all of it pass."""
        if not path:
            raise ConfigError("/load: no file name; use /load FILE")
        source = parse_path(path)
        try:
            if source.exists() and not source.is_file():  # reading a device may not end
                raise ConfigError(f"/load: {source}: expected a file")
            with open_text(source) as file:
                text = file.read(MAX_JSON + 1)  # as much as shows that it is too long
        except OSError as error:  # a name that is too long, a folder that may not be looked into
            raise ConfigError(f"/load: {source}: {error.strerror}") from error
        except ValueError as error:  # a path with a null byte
            raise ConfigError(f"/load: {source}: {error}") from error
        with self.screen.thinking():
            self.conversation = self.bot.admit_conversation(Conversation.from_json(text))
        self.screen.note(f"loaded from {source}")

    def guard(self, _: str) -> None:
        """Show what the guard judged and refused."""
        self.screen.note(str(self.counts))

    def help(self, _: str) -> None:
        """Show the commands."""
        self.screen.note(HELP)

    def quit(self, _: str) -> None:
        """Leave."""
        raise Quit

    def _count(self, reply: Reply) -> None:
        self.counts = self.counts.add(
            message=reply.message_verdict, reply=reply.reply_verdict, origin=reply.origin
        )


COMMANDS: dict[str, Callable[[Session, str], None]] = {
    "/image": Session.image,
    "/style": Session.style,
    "/persona": Session.persona,
    "/reset": Session.reset,
    "/save": Session.save,
    "/load": Session.load,
    "/guard": Session.guard,
    "/help": Session.help,
    "/quit": Session.quit,
}


def is_saved(path: Path) -> bool:
    """Say whether a file is one that ``/save`` has written."""
    try:
        with open_text(path) as file:
            Conversation.from_json(file.read(MAX_JSON + 1))
    except ConfigError:
        return False
    return True


def _find_command(name: str) -> Callable[[Session, str], None]:
    if name in COMMANDS:
        return COMMANDS[name]
    if "/" in name[1:]:  # a picture that was dropped on the terminal
        raise ConfigError(f"no command {shorten(name)!r}; did you mean /image {name}?")
    raise ConfigError(unknown("command", name, COMMANDS))
