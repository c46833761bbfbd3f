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
from openmmb.chat.commands import COMMANDS
from openmmb.chat.completion import Completions
from openmmb.chat.conversation import EMPTY
from openmmb.chat.prompt import History
from openmmb.chat.strict import MAX_CHARACTERS
from openmmb.chat.terminal import chat_with
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
        timeout=120,
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
    child.send("Half a line")
    child.expect("Half a line")
    child.sendcontrol("c")
    child.send("Hello.\r")  # the half is gone, so this is all that is said
    answered(child, "bot")
    child.sendcontrol("c")
    answered(child, "Leave\\? Ctrl-C again leaves")
    child.send("/save said.json\r")  # whoever goes on is asked again
    answered(child, "saved to")
    child.sendcontrol("c")
    answered(child, "Leave\\?")
    child.sendcontrol("c")
    assert last_words(child).endswith(GOODBYE)
    turns = json.loads((folder / "said.json").read_text(encoding="utf-8"))["turns"]
    assert [turn["text"] for turn in turns if turn["speaker"] == "person"] == ["Hello."]


def test_lines_that_are_pasted_without_brackets_are_one_message(folder: Path) -> None:
    child = spawn(folder, "tiny", home=folder)
    child.expect(PROMPT)
    child.send("One line.\rTwo lines.\r")
    answered(child, "bot")
    child.send("/save pasted.json\r")
    answered(child, "saved to")
    child.send("exit\r")
    assert last_words(child).endswith(GOODBYE)
    turns = json.loads((folder / "pasted.json").read_text(encoding="utf-8"))["turns"]
    assert [turn["text"] for turn in turns][:-1] == ["One line. Two lines."]


def test_it_is_asked_before_a_file_is_replaced(folder: Path) -> None:
    child = spawn(folder, "tiny", home=folder)
    child.expect(PROMPT)
    child.send("/save kept.json\r")
    answered(child, "saved to")
    before = (folder / "kept.json").read_bytes()
    child.send("Hello.\r")
    answered(child, "bot")
    for answer, shown, same in (("n", "stays", True), ("y", "saved to", False)):
        child.send("/save kept.json\r")
        child.expect("Replace it")
        child.send(f"{answer}\r")
        answered(child, shown)
        assert ((folder / "kept.json").read_bytes() == before) is same
    child.sendcontrol("d")
    assert last_words(child).endswith(GOODBYE)


def test_a_home_that_cannot_be_written_to_and_ctrl_c_while_it_thinks(folder: Path) -> None:
    home = folder / "no folder"
    home.touch()
    child = spawn(folder, "slow", home=home)
    child.expect(PROMPT)
    child.send("Hello there.\r")
    child.expect("thinking")
    child.sendcontrol("c")
    answered(child, "stopped")
    child.sendcontrol("c")
    answered(child, "Leave\\?")
    child.sendcontrol("c")
    assert last_words(child).endswith(GOODBYE)


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """A list of words that whoever loads the guard waits for, until somebody writes it."""
    path = tmp_path / "held.txt"
    os.mkfifo(path)
    return path


def test_the_prompt_is_there_before_the_model(folder: Path, held: Path) -> None:
    child = spawn(folder, "tiny", "--guard-words", str(held), home=folder)
    child.expect(PROMPT)
    child.send("Hello there.")
    child.expect("Hello there")
    child.send("\r")
    child.expect("loading")
    held.write_text("oaf\n", encoding="utf-8")
    answered(child, "/help shows the commands.*bot")
    child.sendcontrol("d")
    assert last_words(child).endswith(GOODBYE)


def test_whoever_leaves_does_not_wait_for_the_model(folder: Path, held: Path) -> None:
    child = spawn(folder, "tiny", "--guard-words", str(held), home=folder)
    child.expect(PROMPT)
    child.sendcontrol("c")
    answered(child, "Leave\\?")
    child.sendcontrol("d")
    assert "Goodbye." in last_words(child)


def test_a_model_that_cannot_be_loaded_ends_the_prompt_with_one_line(
    folder: Path, held: Path
) -> None:
    child = spawn(folder, "tiny", "--guard-words", str(held), home=folder)
    child.expect(PROMPT)
    child.send("Half a line")
    child.expect("Half a line")
    held.write_bytes(b"\xff")
    child.expect("openmmb chat: (.*)\r\n")
    assert child.match[1].endswith("held.txt: expected text in UTF-8: invalid start byte")
    child.expect(pexpect.EOF)
    assert child.getecho()  # the terminal is as it was
    child.close()
    assert child.exitstatus == 2
    assert "Traceback" not in child.before


@pytest.fixture
def pipe(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> "Pipe":
    return Pipe(bot, monkeypatch)


class Pipe:
    """A chat whose input is a text, not a terminal."""

    def __init__(self, bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bot = bot
        self._monkeypatch = monkeypatch

    def send(self, text: str, *, image: Path | None = None) -> bool:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(text))
        return chat_with(self._bot, self._bot.look(image) if image else EMPTY)


def test_each_line_of_a_pipe_gets_one_line_and_a_failed_one_is_told(
    pipe: Pipe, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["Hello.", "", "/image none.png", "/style Curious", f"/image {picture}", "/nonsense"]
    assert not pipe.send("\n".join([*lines, "You are a fucking fool", "/help", "Bye."]))
    shown = capsys.readouterr()
    answered = [bool(line) for line in shown.out.split("\n")[:-1]]
    assert answered == [True, False, False, False, True, False, True, False, True]
    assert "line 3: none.png: No such file or directory" in shown.err
    assert "line 6: no command '/nonsense'" in shown.err
    assert pipe.send("Hello.\n/style Curious\nexit\nNot read.\n")
    assert [bool(line) for line in capsys.readouterr().out.split("\n")] == [True, *3 * [False]]


def test_a_pipe_gets_a_line_of_reply_for_each_line(
    pipe: Pipe, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe.send("Hello.\n\n  \nYou are a fucking fool\n日本語 👍")
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 5
    assert '"fucking" is swearing' in shown.out.splitlines()[3]
    assert shown.err.splitlines() == [
        "your messages: 3 judged, 1 refused (words 1)",
        "the bot's replies: 2 judged, 0 refused",
    ]


def test_on_a_pipe_only_replies_are_output(
    pipe: Pipe, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe.send(f"/help\n/image {picture}\n/nonsense\n/image none.png\n/quit\nHello.")
    shown = capsys.readouterr()
    assert len(shown.out.split()) > 0
    assert [bool(line) for line in shown.out.splitlines()] == [False, True, False, False, False]
    assert shown.err.splitlines()[-2:] == [
        f"line 3: no command '/nonsense'; expected one of {', '.join(sorted(COMMANDS))}",
        "line 4: none.png: No such file or directory",
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
    assert shown.err == f"line 1: message: expected at most {MAX_CHARACTERS} characters\n"
    assert len(shown.out.splitlines()) == 1 + end.count("Hello.")


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
    assert len(shown.out.splitlines()) == 8
    assert not {"\x1b", "\x07", "\x9b"} & set(shown.out + shown.err)


def test_closed_input_ends_the_chat(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    chat_with(bot)


def test_a_real_pipe(folder: Path) -> None:
    """Bytes that are no text, and a terminal that knows only ASCII."""
    done = subprocess.run(
        [*COMMAND, "tiny"],
        input=b"Hello \xff\xfe.\n/save piped.json\n",
        capture_output=True,
        cwd=folder,
        env=environment(folder) | {"PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == b"saved to piped.json\n"


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
    (tmp_path / "my photos").mkdir()
    (tmp_path / "my photos" / "a dog.png").touch()
    assert list(completions(f"/image {tmp_path}/my")) == [f"/image {tmp_path}/my photos/"]
    for quote in ("'", '"'):
        begun = f"/image {quote}{tmp_path}/my photos/a"
        assert list(completions(begun)) == [f"{begun} dog.png{quote}"]
    escaped = f"/load {tmp_path}/my\\ photos/a"
    assert list(completions(escaped)) == [f"{escaped}\\ dog.png"]
    assert list(completions("/style cur")) == ["/style Curious"]
    assert "/style positive/neutral" in completions("/style p")
    assert list(completions(f"{tmp_path}/bo")) == []
    assert list(completions("")) == []
    assert list(completions("Have you")) == []
    assert list(completions(f"/style {tmp_path}/bo")) == []


def test_a_reply_reads_its_message_and_goes_on_with_a_saved_conversation(
    folder: Path, tmp_path: Path
) -> None:
    """Each in a process of its own, as scripts do it."""
    saved = tmp_path / "chat.json"
    env = environment(folder)
    chat = [*COMMAND, str(folder / "tiny"), "--style", "curious", "--persona", "I sail."]
    told = subprocess.run(
        chat, input=f"Hi.\n/save {saved}\n", capture_output=True, text=True, env=env, check=True
    )
    before = saved.read_bytes()
    script = [*COMMAND[:-3], "reply", "-", str(folder / "tiny"), "--classifier", "none"]
    answer = [
        subprocess.run(
            [*script, *flags],
            input="And you?\n",
            capture_output=True,
            text=True,
            env=env,
            check=True,
        ).stdout
        for flags in ([], ["--conversation", str(saved)])
    ]
    assert told.stdout.count("\n") == 2
    assert all(line.count("\n") == 1 for line in answer)
    assert answer[0] != answer[1]
    assert saved.read_bytes() == before


def test_a_failed_line_is_an_exit_code(folder: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "tiny"],
        input="/image none.png\nHello.\n",
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(folder),
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.count("\n") == 2


def test_ctrl_c_before_a_command_has_begun_is_no_traceback(folder: Path) -> None:
    program = (
        "import runpy, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'openmmb.errors': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "runpy.run_module('openmmb', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
