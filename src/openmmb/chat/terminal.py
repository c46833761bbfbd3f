"""The chat in a terminal, and the same without decoration when input comes from a pipe."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from openmmb.chat.bot import Bot
from openmmb.chat.conversation import EMPTY, NO_STYLE, Conversation
from openmmb.errors import ConfigError, OpenMMBError
from openmmb.safety.replies import explain

HELP = """\
/image PATH     show a picture; it stays until the next one      /image none  takes it away
/style WORDS    how the bot talks: positive/neutral, Curious ...  /style none, /style default
/persona LINE   add a line about who the bot is                   /persona none forgets them
/reset          start over; picture, style and persona stay
/save FILE      write the conversation to a file, as JSON
/help           this text
/quit           leave (so do Ctrl-C and Ctrl-D)
Anything else is said to the bot."""

Show = Callable[[str], None]


class Quit(Exception):  # noqa: N818 no error: the person wants to leave
    """The person wants to leave."""


@dataclass
class Session:
    """One person's chat: the bot, the conversation so far, and what each input line does to it.

    Attributes:
        bot: Answers.
        conversation: So far.
        thinking: Entered while the bot thinks.
    """

    bot: Bot
    conversation: Conversation = EMPTY
    thinking: Callable[[], AbstractContextManager[object]] = nullcontext

    def frame(self, *, image: Path | None, style: str | None, persona: Sequence[str]) -> None:
        """Set what frames the conversation, before it begins.

        Raises:
            ImageError: The picture cannot be read.
            ConfigError: The guard refuses the style or the persona.
        """
        for text in (*persona, *([] if style is None else [style])):
            self._check(text)
        self.conversation = replace(self.conversation, style=style, persona=tuple(persona))
        if image is not None:
            self.conversation = self.bot.look(image, self.conversation)

    def handle(self, line: str) -> Iterator[str]:
        """Do what a line says and yield what there is to show.

        Raises:
            OpenMMBError: The line asks for what cannot be; nothing has changed then.
            Quit: The person wants to leave.
        """
        line = line.strip()
        if not line:
            return
        if not line.startswith("/"):
            yield self._say(line)
            return
        command, _, rest = line.partition(" ")
        action = COMMANDS.get(command)
        if action is None:
            raise ConfigError(f"{command}: no such command; there are: {', '.join(COMMANDS)}")
        yield from action(self, rest.strip())

    def open(self) -> str:
        """Let the bot say something about the picture, whatever was said before."""
        fresh = replace(self.conversation, turns=())
        with self.thinking():
            reply = self.bot.reply(conversation=fresh)
        self.conversation = self.conversation.said("bot", reply.text)
        return reply.text

    def _say(self, text: str) -> str:
        with self.thinking():
            reply = self.bot.reply(text, conversation=self.conversation)
        self.conversation = reply.conversation
        return reply.text

    def _image(self, path: str) -> Iterator[str]:
        if not path:
            picture = self.conversation.picture
            yield f"picture: {'none' if picture is None else picture.name}; /image PATH shows one"
            return
        if path == "none":
            self.conversation = replace(self.conversation, picture=None)
            return
        with self.thinking():
            self.conversation = self.bot.look(_unquoted(path), self.conversation)
        yield self.open()

    def _style(self, words: str) -> Iterator[str]:
        if not words:
            yield f"style: {self.conversation.style or 'default'}; /style WORDS sets another"
            return
        style = None if words == "default" else words
        if style not in (None, NO_STYLE):
            self._check(words)
        self.conversation = replace(self.conversation, style=style)

    def _persona(self, line: str) -> Iterator[str]:
        persona = self.conversation.persona
        if not line:
            yield "persona: " + ("; ".join(persona) or "none; /persona LINE adds to it")
            return
        if line != "none":
            self._check(line)
        lines = () if line == "none" else (*persona, line)
        self.conversation = replace(self.conversation, persona=lines)

    def _reset(self, _: str) -> Iterator[str]:
        self.conversation = replace(self.conversation, turns=())
        yield from ()

    def _save(self, path: str) -> Iterator[str]:
        if not path:
            raise ConfigError("/save: missing a file name; /save FILE")
        target = _unquoted(path)
        try:
            target.write_text(self.conversation.to_json() + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"/save: {target}: {error.strerror}") from error
        yield f"saved to {target}"

    def _help(self, _: str) -> Iterator[str]:
        yield HELP

    def _quit(self, _: str) -> Iterator[str]:
        yield from ()
        raise Quit

    def _check(self, text: str) -> None:
        """Refuse a style or persona that could not be said either."""
        verdict = self.bot.guard.judge(text)
        if not verdict.safe:
            raise ConfigError(explain(verdict))


COMMANDS: dict[str, Callable[[Session, str], Iterator[str]]] = {
    "/image": Session._image,
    "/style": Session._style,
    "/persona": Session._persona,
    "/reset": Session._reset,
    "/save": Session._save,
    "/help": Session._help,
    "/quit": Session._quit,
}


def chat_with(session: Session) -> None:
    """Talk until the person leaves: on a terminal with line editing, from a pipe line by line.

    The bot speaks first if there is a picture.
    """
    if sys.stdin.isatty() and sys.stdout.isatty():
        _chat_on_terminal(session)
    else:
        _chat_on_pipe(session)


def _chat_on_pipe(session: Session) -> None:
    def show(text: str) -> None:
        print(text, flush=True)

    def complain(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if session.conversation.picture is not None:
        show(session.open())
    for line in sys.stdin:
        if not _turn(session, line, show, complain):
            return


def _chat_on_terminal(session: Session) -> None:
    # Imported here: a pipe needs neither, and both take a moment.
    from prompt_toolkit import PromptSession
    from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.formatted_text import FormattedText
    from prompt_toolkit.history import FileHistory
    from rich.console import Console
    from rich.text import Text

    console = Console()
    session.thinking = lambda: console.status("thinking ...", spinner="dots")

    def show(text: str) -> None:
        said = session.conversation.turns[-1:] and text == session.conversation.turns[-1].text
        console.print(Text.assemble(("bot  ", "bold cyan"), text) if said else Text(text, "dim"))

    def complain(text: str) -> None:
        console.print(Text(text, "yellow"))

    prompt: PromptSession[str] = PromptSession(
        FormattedText([("bold ansigreen", "you  ")]),
        history=FileHistory(str(_history_file())),
        auto_suggest=AutoSuggestFromHistory(),
        completer=WordCompleter(list(COMMANDS), sentence=True),
        complete_while_typing=True,
    )
    console.print(Text(f"{session.bot.checkpoint.config.name}. /help shows the commands.", "dim"))
    try:
        if session.conversation.picture is not None:
            show(session.open())
        while _turn(session, prompt.prompt(), show, complain):
            pass
    except (EOFError, KeyboardInterrupt):
        console.print(Text("Goodbye.", "dim"))


def _turn(session: Session, line: str, show: Show, complain: Show) -> bool:
    """Do one line; say whether to go on."""
    try:
        for text in session.handle(line):
            show(text)
    except OpenMMBError as error:
        complain(str(error))
    except Quit:
        return False
    return True


def _history_file() -> Path:
    folder = Path.home() / ".local" / "state" / "openmmb"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "history"


def _unquoted(path: str) -> Path:
    """Take a path as terminals paste it: perhaps in quotes, perhaps with ``~``."""
    if len(path) >= 2 and path[0] == path[-1] and path[0] in "'\"":
        path = path[1:-1]
    return Path(path).expanduser()
