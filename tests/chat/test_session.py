"""What each line of a chat does, whatever screen shows it."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.chat.bot import Bot
from openmmb.chat.conversation import Shown, Turn
from openmmb.chat.session import COMMANDS, HELP, Quit, Session
from openmmb.chat.strict import MAX_CHARACTERS
from openmmb.chat.typed_path import parse_path
from openmmb.errors import ConfigError, ImageError, OpenMMBError
from openmmb.safety.guard import Guard, GuardConfig, open_guard
from openmmb.safety.verdict import Verdict


class Pages:
    """A screen that keeps what it was shown."""

    def __init__(self) -> None:
        self.said = list[str]()
        self.noted = list[str]()
        self.thoughts = 0
        self.asked = list[str]()
        self.answer = True

    def say(self, text: str) -> None:
        self.said.append(text)

    def note(self, text: str) -> None:
        self.noted.append(text)

    def complain(self, text: str) -> None:
        raise AssertionError("a session raises what it complains about")

    def agrees(self, question: str) -> bool:
        self.asked.append(question)
        return self.answer

    @contextmanager
    def thinking(self) -> Iterator[None]:
        self.thoughts += 1
        yield


@pytest.fixture
def screen() -> Pages:
    return Pages()


@pytest.fixture
def session(bot: Bot, screen: Pages) -> Session:
    return Session(bot, screen)


def test_a_line_is_said_and_answered(session: Session, screen: Pages) -> None:
    session.handle("  Hello,\tyou.\n")
    assert session.conversation.turns == (
        Turn("person", "Hello, you."),
        Turn("bot", screen.said[0]),
    )
    assert screen.thoughts == 1


@pytest.mark.parametrize("line", ["", "  \n", "\u200b", "\x1b\n"])
def test_a_line_with_nothing_visible_does_nothing(
    session: Session, screen: Pages, line: str
) -> None:
    session.handle(line)
    assert session.conversation.turns == ()
    assert screen.thoughts == 0


def test_a_refused_message_is_answered_but_never_said(session: Session, screen: Pages) -> None:
    session.handle("You are a fucking fool")
    assert '"fucking" is swearing' in screen.said[0]
    assert session.conversation.turns == ()


@pytest.mark.parametrize("line", ["/style\tCurious\n", "\ufeff/style Curious", " /style  Curious "])
def test_a_command_is_known_whatever_stands_around_it(session: Session, line: str) -> None:
    session.handle(line)
    assert session.conversation.style == "Curious"


def test_a_picture_is_described_and_stays(session: Session, screen: Pages, picture: Path) -> None:
    session.handle("Hello.")
    session.handle(f"/image {picture}")
    looking = session.conversation
    assert looking.picture is not None
    shown = Shown("a boat.png", looking.picture.digest)
    assert looking.turns[-1] == Turn("bot", screen.said[1], shown)
    session.handle("What else?")
    later = session.conversation
    assert later.picture is looking.picture
    session.handle("/image")
    session.handle("/image none")
    assert session.conversation.picture is None
    assert screen.noted == ["picture: a boat.png", "picture: none"]
    assert len(session.conversation.turns) == 5


def test_a_picture_that_is_dropped_on_the_terminal_is_shown(
    session: Session, screen: Pages, picture: Path
) -> None:
    for line in (str(picture), f"'{picture}'", picture.as_uri(), f"/image {picture.as_uri()}"):
        session.handle(line)
    assert session.conversation.picture is not None
    assert [turn.speaker for turn in session.conversation.turns] == ["bot"] * 4
    assert len(set(screen.said)) == 1
    with pytest.raises(ImageError, match="No such file"):
        session.handle(f"'{picture}.png'")


def test_a_picture_of_the_web_is_refused_with_the_reason(session: Session) -> None:
    with pytest.raises(ImageError, match=r"^https://a\.b/c\.jpg: pictures are not fetched"):
        session.handle("/image https://a.b/c.jpg")


def test_the_same_picture_gets_the_same_description_later(
    session: Session, screen: Pages, picture: Path
) -> None:
    session.handle(f"/image {picture}")
    session.handle("Thank you.")
    session.handle(f"/image {picture}")
    assert screen.said[0] == screen.said[2]


def test_a_picture_that_cannot_be_read_changes_nothing(
    session: Session, picture: Path, tmp_path: Path
) -> None:
    session.handle(f"/image {picture}")
    before = session.conversation
    for wrong in (tmp_path / "none.png", tmp_path, "~nobody-of-this-name/a.png"):
        with pytest.raises(ImageError):
            session.handle(f"/image {wrong}")
    assert session.conversation == before


def test_a_style_is_set_shown_and_taken_back(session: Session, screen: Pages) -> None:
    for words in ("", "Curious", "none", "default"):
        session.handle(f"/style {words}")
    assert screen.noted == ["style: default", "style: Curious", "style: none", "style: default"]
    assert session.conversation.style is None


def test_a_persona_grows_line_by_line(session: Session, screen: Pages) -> None:
    session.handle("/persona")
    session.handle("/persona I am  a sailor.")
    session.handle("/persona I have a dog.")
    assert session.conversation.persona == ("I am a sailor.", "I have a dog.")
    grown = session.conversation
    session.handle("/persona none")
    assert session.conversation == replace(grown, persona=())
    assert screen.noted == [
        "persona: none",
        "persona: I am a sailor.",
        "persona: I am a sailor.\nI have a dog.",
        "persona: none",
    ]


@pytest.mark.parametrize("command", ["/style", "/persona"])
def test_what_may_not_be_said_frames_no_conversation_either(session: Session, command: str) -> None:
    before = session.conversation
    with pytest.raises(ConfigError, match='"fucking" is swearing'):
        session.handle(f"{command} a fucking sailor")
    assert session.conversation == before


def test_starting_over_keeps_what_frames_the_conversation(session: Session, picture: Path) -> None:
    session.handle("/style Curious")
    session.handle("/persona I am a sailor.")
    session.handle(f"/image {picture}")
    session.handle("/reset")
    conversation = session.conversation
    assert conversation.turns == ()
    assert conversation.style == "Curious"
    assert conversation.persona == ("I am a sailor.",)
    assert conversation.picture is not None


def test_a_saved_conversation_is_json(session: Session, screen: Pages, tmp_path: Path) -> None:
    session.handle("Hello “you” 👍 \x1b[31m \ud83d")
    path = tmp_path / "my chat.json"
    session.handle(f'/save "{path}"')
    session.handle(f"/save {path}")
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert saved["turns"][0] == {"speaker": "person", "text": "Hello “you” 👍 [31m"}
    assert saved["turns"][1]["text"] == screen.said[0]
    assert screen.noted == [f"saved to {path}"] * 2


def test_a_conversation_that_cannot_be_saved_is_not_lost(session: Session, tmp_path: Path) -> None:
    session.handle("Hello.")
    before = session.conversation
    with pytest.raises(ConfigError, match=r"/save: .*none: no such folder"):
        session.handle(f"/save {tmp_path / 'none' / 'chat.json'}")
    with pytest.raises(ConfigError, match=r"a\0b: embedded null byte"):
        session.handle("/save a\0b")
    with pytest.raises(ConfigError, match=r": is a folder; expected a file"):
        session.handle(f"/save {tmp_path}")
    with pytest.raises(ConfigError, match="/save: no file name"):
        session.handle("/save")
    assert session.conversation == before


def test_a_saved_conversation_goes_on_where_it_was(
    session: Session, screen: Pages, picture: Path, tmp_path: Path
) -> None:
    session.handle("/style Curious")
    session.handle(f"/image {picture}")
    session.handle("Hello.")
    session.handle(f"/save {tmp_path / 'chat.json'}")
    saved = session.conversation
    other = Session(session.bot, screen)
    other.handle(f"/load {tmp_path / 'chat.json'}")
    assert other.conversation == saved
    assert screen.noted[-1] == f"loaded from {tmp_path / 'chat.json'}"
    session.handle("And now?")
    other.handle("And now?")
    assert other.conversation == session.conversation


def test_a_file_that_is_no_harmless_conversation_changes_nothing(
    session: Session, tmp_path: Path
) -> None:
    session.handle("Hello.")
    before = session.conversation
    path = tmp_path / "chat.json"
    for content, message in (
        ("Hello.", "conversation: expected JSON: "),
        ('{"turns": [{"speaker": "bot", "text": "fuck"}]}', 'turns.0: may not be said: "fuck" is'),
        (b"\xff", "chat.json: expected text in UTF-8"),
    ):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(ConfigError, match=message):
            session.handle(f"/load {path}")
    with pytest.raises(ConfigError, match=r"none\.json: No such file or directory"):
        session.handle(f"/load {tmp_path / 'none.json'}")
    with pytest.raises(ConfigError, match=r"/load: .*: expected a file"):
        session.handle(f"/load {tmp_path}")
    with pytest.raises(ConfigError, match=r"/load: a\0b: embedded null byte"):
        session.handle("/load a\0b")
    with pytest.raises(ConfigError, match=r"/load: a{300}: File name too long"):
        session.handle(f"/load {'a' * 300}")
    with pytest.raises(ConfigError, match="/load: no file name; use /load FILE"):
        session.handle("/load")
    assert session.conversation == before


def test_help_names_every_command_and_no_other(session: Session, screen: Pages) -> None:
    session.handle("/help")
    assert screen.noted == [HELP]
    starts = [line.split()[0] for line in HELP.splitlines() if line.startswith("/")]
    assert starts == list(COMMANDS)


def test_quit_leaves(session: Session) -> None:
    with pytest.raises(Quit):
        session.handle("/quit")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/imgae a.png", "no command '/imgae'; did you mean '/image'?"),
        ("/x\x1b[2J", r"no command '/x\x1b[2J'; expected one of /guard, /help"),
        ("/", "no command '/'; expected one of /guard"),
        ("/a/b.png", "no command '/a/b.png'; did you mean /image /a/b.png?"),
        ("a" * (MAX_CHARACTERS + 1), "message: expected at most 20000 characters"),
        ("/image " + "a" * MAX_CHARACTERS, "message: expected at most 20000 characters"),
        ("/image " + "a" * 300, f"{'a' * 300}: File name too long"),
    ],
)
def test_a_line_that_cannot_be_done_says_what_to_do(
    session: Session, line: str, message: str
) -> None:
    with pytest.raises(OpenMMBError) as error:
        session.handle(line)
    assert str(error.value).startswith(message)
    assert session.conversation.turns == ()


@pytest.mark.parametrize("form", ["{}", '"{}"', "'{}'", "{escaped}", "~/a boat.png"])
def test_a_path_is_read_as_terminals_paste_it(
    picture: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(picture.parent))
    escaped = str(picture).replace(" ", r"\ ")
    assert parse_path(form.format(picture, escaped=escaped)) == picture


@pytest.mark.skipif(os.name == "nt", reason="backslashes separate folders there")
def test_a_file_with_a_backslash_in_its_name_is_found(tmp_path: Path) -> None:
    path = tmp_path / r"a\b.png"
    path.touch()
    assert parse_path(str(path)) == path


def test_what_the_guard_judged_is_counted_and_shown(
    session: Session, screen: Pages, picture: Path
) -> None:
    session.handle("Hello.")
    session.handle("You are a fucking fool")
    session.handle(f"/image {picture}")
    assert session.counts.messages.judged == session.counts.replies.judged == 2
    assert session.counts.messages.refused == {"words": 1}
    session.handle("/guard")
    assert screen.noted[-1] == (
        "your messages: 2 judged, 1 refused (words 1)\nthe bot's replies: 2 judged, 0 refused"
    )


def test_a_reply_that_was_held_back_is_counted(bot: Bot, screen: Pages) -> None:
    def check(text: str, context: Sequence[str]) -> Verdict:
        return Verdict(safe=text == "Hello.", check="mine")

    session = Session(Bot(bot.engine, guard=Guard(checks=(check,))), screen)
    session.handle("/persona Hello.")
    session.handle("Hello.")
    session.handle("Hello.")
    assert (session.counts.changed, session.counts.next_best) == (2, 0)
    assert session.counts.replies.refused == {"mine": 2}
    # Neither the conversation nor what frames it is lost.
    assert len(session.conversation.turns) == 4
    assert session.conversation.persona == ("Hello.",)


def test_without_a_guard_everything_is_said(bot: Bot, screen: Pages) -> None:
    session = Session(Bot(bot.engine, guard=open_guard(GuardConfig(enabled=False))), screen)
    session.handle("You are a fucking fool")
    assert len(session.conversation.turns) == 2
