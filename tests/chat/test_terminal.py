"""The chat as a person meets it: on a terminal with keys, and from a pipe line by line."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from openmmb.chat.bot import Bot
from openmmb.chat.strict import MAX_CHARACTERS
from openmmb.chat.terminal import Completions, History, chat_with
from openmmb.checkpoint import save_checkpoint
from openmmb.search.config import SearchConfig
from tests.build import tiny_checkpoint, tiny_image

COMMAND = [sys.executable, "-m", "openmmb", "chat", "--classifier", "none"]
"""The network is random, so what it says may sound like anything to a classifier."""
PROMPT = "you  "
GOODBYE = "\x1b[2mGoodbye.\x1b[0m\r\n"
SLOW = SearchConfig(beam_size=10, min_length=60, max_length=64)
"""About a second a reply."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a checkpoint and a picture in it."""
    folder = tmp_path_factory.mktemp("home")
    save_checkpoint(tiny_checkpoint(), folder / "tiny", precision="fp32")
    save_checkpoint(tiny_checkpoint(search=SLOW), folder / "slow", precision="fp32")
    tiny_image().save(folder / "a boat.png")
    return folder


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "XDG_STATE_HOME"}
    quick = {"OMP_NUM_THREADS": "1", "PROMPT_TOOLKIT_NO_CPR": "1"}
    return kept | quick | {"HOME": str(home), "TERM": "xterm"}


def spawn(folder: Path, *arguments: str, home: Path) -> pexpect.spawn:
    program, *rest = COMMAND
    return pexpect.spawn(
        program,
        [*rest, *arguments],
        cwd=folder,
        env=environment(home),
        encoding="utf-8",
        timeout=30,
        dimensions=(40, 100),
    )


def answered(child: pexpect.spawn, pattern: str) -> None:
    """Wait for an answer and the next prompt; keys that come before it are not yet a chat's."""
    child.expect(pattern)
    child.expect(PROMPT)


def last_words(child: pexpect.spawn) -> str:
    """Wait for a clean end and return what was shown last."""
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    return str(child.before)


def test_a_person_chats_on_a_terminal(folder: Path) -> None:
    child = spawn(folder, "tiny", home=folder)
    child.expect("/help shows the commands")
    child.expect(PROMPT)
    child.send("Hello there.\r")
    answered(child, "bot")
    child.send("/im\t")
    child.expect("/image")
    child.send(" a bo\t")
    child.expect(r"a boat\.png")
    child.send("\r")
    answered(child, "bot")
    child.send("/image\r")
    answered(child, r"picture: a boat\.png")
    child.send("/help\r")
    answered(child, "/save FILE")
    child.send("/nonsense\r")
    answered(child, "no command")
    child.send("/image tiny\r")
    answered(child, "tiny: not a file")
    child.send("/save chat.json\r")
    answered(child, "saved to chat")
    child.sendcontrol("d")
    assert last_words(child).endswith(GOODBYE)
    turns = json.loads((folder / "chat.json").read_text(encoding="utf-8"))["turns"]
    assert [turn["speaker"] for turn in turns] == ["person", "bot", "bot"]
    history = folder / ".local" / "state" / "openmmb" / "history"
    assert "+Hello there.\n" in history.read_text(encoding="utf-8")
    assert history.stat().st_mode & 0o077 == 0


def test_the_bot_speaks_first_about_a_picture_and_ctrl_c_leaves(folder: Path) -> None:
    child = spawn(folder, "tiny", "--image", "a boat.png", home=folder)
    answered(child, "bot")
    child.sendcontrol("c")
    assert last_words(child).endswith(GOODBYE)


def test_a_home_that_cannot_be_written_to_and_ctrl_c_while_it_thinks(folder: Path) -> None:
    home = folder / "no folder"
    home.touch()
    child = spawn(folder, "slow", home=home)
    child.expect(PROMPT)
    child.send("Hello there.\r")
    child.expect("thinking")
    child.sendcontrol("c")
    assert last_words(child).endswith(GOODBYE)


@pytest.fixture
def pipe(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> "Pipe":
    return Pipe(bot, monkeypatch)


class Pipe:
    """A chat whose input is a text, not a terminal."""

    def __init__(self, bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bot = bot
        self._monkeypatch = monkeypatch

    def send(self, text: str, *, image: Path | None = None) -> None:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(text))
        chat_with(self._bot, self._bot.look(image)) if image else chat_with(self._bot)


def test_a_pipe_gets_a_line_of_reply_for_each_line(
    pipe: Pipe, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe.send("Hello.\n\n  \nYou are a fucking fool\n日本語 👍")
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 3
    assert '"fucking" is swearing' in shown.out.splitlines()[1]
    assert shown.err.splitlines() == [
        "your messages: 3 judged, 1 refused (words 1)",
        "the bot's replies: 2 judged, 0 refused",
    ]


def test_on_a_pipe_only_replies_are_output(
    pipe: Pipe, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe.send(f"/help\n/image {picture}\n/nonsense\n/image none.png\n/quit\nHello.")
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1
    assert shown.err.splitlines()[-2:] == [
        "no command '/nonsense'; expected one of "
        "/guard, /help, /image, /load, /persona, /quit, /reset, /save, /style",
        "none.png: No such file or directory",
    ]


def test_on_a_pipe_too_the_bot_speaks_first_about_a_picture(
    pipe: Pipe, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe.send("", image=picture)
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("end", ["", "\n", "\nHello.\n"])
def test_a_line_of_any_length_is_one_complaint(
    pipe: Pipe, capsys: pytest.CaptureFixture[str], end: str
) -> None:
    pipe.send("a" * 5 * MAX_CHARACTERS + end)
    shown = capsys.readouterr()
    assert shown.err == f"message: expected at most {MAX_CHARACTERS} characters\n"
    assert len(shown.out.splitlines()) == end.count("Hello.")


def test_no_terminal_command_gets_through(
    pipe: Pipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    escape = "\x1b]0;owned\x07\x9b2J"
    path = tmp_path / f"{escape}.png"
    tiny_image().save(path)
    pipe.send(
        f"say {escape}\n/{escape}\n/style {escape}\n/persona {escape}\n/image {escape}\n"
        f"/image {path}\n/image\n/save {tmp_path}/{escape}/x\n"
    )
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2
    assert not {"\x1b", "\x07", "\x9b"} & set(shown.out + shown.err)


def test_closed_input_ends_the_chat(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    chat_with(bot)


def test_a_real_pipe(folder: Path) -> None:
    """Bytes that are no text, and a terminal that knows only ASCII."""
    done = subprocess.run(
        [*COMMAND, "tiny"],
        input=b"Hello \xff\xfe.\n/save chat.json\n",
        capture_output=True,
        cwd=folder,
        env=environment(folder) | {"PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == b"saved to chat.json\n"


def test_what_was_entered_is_there_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "history"
    for text in ("first", "second"):
        History(str(path)).store_string(text)
    assert list(History(str(path)).load_history_strings()) == ["second", "first"]


def test_a_history_file_that_is_none_is_no_obstacle(tmp_path: Path) -> None:
    for wrong in (tmp_path, Path(os.devnull) / "history"):
        history = History(str(wrong))
        history.store_string("first")
        assert list(history.load_history_strings()) == []


def completions(text: str) -> Iterator[str]:
    for found in Completions().get_completions(Document(text), CompleteEvent()):
        yield text[: len(text) + found.start_position] + found.text


def test_commands_and_paths_are_completed(tmp_path: Path) -> None:
    (tmp_path / "boat.png").touch()
    assert list(completions("/i")) == ["/image"]
    assert list(completions("/image ")) != []
    assert list(completions(f"/image {tmp_path}/bo")) == [f"/image {tmp_path}/boat.png"]
    assert list(completions(f"/save {tmp_path}/bo")) == [f"/save {tmp_path}/boat.png"]
    assert list(completions("")) == []
    assert list(completions("Have you")) == []
    assert list(completions(f"/style {tmp_path}/bo")) == []
