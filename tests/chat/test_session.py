"""What each line of a chat does, whatever screen shows it."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from openmmb.chat.bot import Bot
from openmmb.chat.commands import COMMANDS, HELP, Quit, handle
from openmmb.chat.conversation import Conversation, Shown, Turn
from openmmb.chat.session import Session
from openmmb.chat.strict import MAX_CHARACTERS
from openmmb.chat.typed_path import parse_path
from openmmb.checkpoint import Checkpoint
from openmmb.errors import ConfigError, ImageError, OpenMMBError
from openmmb.safety.guard import Guard, GuardConfig, open_guard
from openmmb.safety.verdict import Verdict
from openmmb.search.config import SearchConfig
from tests.build import plain_engine, tiny_checkpoint, tiny_image


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
    handle("  Hello,\tyou.\n", session)
    assert session.conversation.turns == (
        Turn("person", "Hello, you."),
        Turn("bot", screen.said[0]),
    )
    assert screen.thoughts == 1


@pytest.mark.parametrize("line", ["", "  \n", "\u200b", "\x1b\n"])
def test_a_line_with_nothing_visible_does_nothing(
    session: Session, screen: Pages, line: str
) -> None:
    handle(line, session)
    assert session.conversation.turns == ()
    assert screen.thoughts == 0


def test_a_refused_message_is_answered_but_never_said(session: Session, screen: Pages) -> None:
    handle("You are a fucking fool", session)
    assert '"fucking" is swearing' in screen.said[0]
    assert session.conversation.turns == ()


@pytest.mark.parametrize("line", ["/style\tCurious\n", "\ufeff/style Curious", " /style  Curious "])
def test_a_command_is_known_whatever_stands_around_it(session: Session, line: str) -> None:
    handle(line, session)
    assert session.conversation.style == "Curious"


def test_a_picture_is_described_and_stays(session: Session, screen: Pages, picture: Path) -> None:
    handle("Hello.", session)
    handle(f"/image {picture}", session)
    looking = session.conversation
    assert looking.picture is not None
    shown = Shown("a boat.png", looking.picture.digest)
    assert looking.turns[-1] == Turn("bot", screen.said[1], shown)
    handle("What else?", session)
    later = session.conversation
    assert later.picture is looking.picture
    handle("/image", session)
    handle("/image none", session)
    assert session.conversation.picture is None
    assert screen.noted == ["picture: a boat.png", "picture: none"]
    assert len(session.conversation.turns) == 5


def test_a_picture_that_is_dropped_on_the_terminal_is_shown(
    session: Session, screen: Pages, picture: Path
) -> None:
    for line in (str(picture), f"'{picture}'", picture.as_uri(), f"/image {picture.as_uri()}"):
        handle(line, session)
    assert session.conversation.picture is not None
    assert [turn.speaker for turn in session.conversation.turns] == ["bot"] * 4
    assert len(set(screen.said)) == 1
    with pytest.raises(ImageError, match="No such file"):
        handle(f"'{picture}.png'", session)


def test_a_picture_of_the_web_is_refused_with_the_reason(session: Session) -> None:
    with pytest.raises(ImageError, match=r"^https://a\.b/c\.jpg: pictures are not fetched"):
        handle("/image https://a.b/c.jpg", session)


def test_the_same_picture_gets_the_same_description_later(
    session: Session, screen: Pages, picture: Path
) -> None:
    handle(f"/image {picture}", session)
    handle("Thank you.", session)
    handle(f"/image {picture}", session)
    assert screen.said[0] == screen.said[2]


def test_a_picture_that_cannot_be_read_changes_nothing(
    session: Session, picture: Path, tmp_path: Path
) -> None:
    handle(f"/image {picture}", session)
    before = session.conversation
    for wrong in (tmp_path / "none.png", tmp_path, "~nobody-of-this-name/a.png"):
        with pytest.raises(ImageError):
            handle(f"/image {wrong}", session)
    assert session.conversation == before


def test_a_style_is_set_shown_and_taken_back(session: Session, screen: Pages) -> None:
    for words in ("", "Curious", "none", "default"):
        handle(f"/style {words}", session)
    listed, *noted = screen.noted
    assert noted == ["style: Curious", "style: none", "style: default"]
    assert listed.startswith("style: default\nstyles: positive/neutral, negative, Abrasive (")
    assert listed.endswith(", Youthful, Zany, none, default")
    assert session.conversation.style is None


def test_a_persona_grows_line_by_line(session: Session, screen: Pages) -> None:
    handle("/persona", session)
    handle("/persona I am  a sailor.", session)
    handle("/persona I have a dog.", session)
    assert session.conversation.persona == ("I am a sailor.", "I have a dog.")
    grown = session.conversation
    handle("/persona none", session)
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
        handle(f"{command} a fucking sailor", session)
    assert session.conversation == before


def test_starting_over_keeps_what_frames_the_conversation(session: Session, picture: Path) -> None:
    handle("/style Curious", session)
    handle("/persona I am a sailor.", session)
    handle(f"/image {picture}", session)
    handle("/reset", session)
    conversation = session.conversation
    assert conversation.turns == ()
    assert conversation.style == "Curious"
    assert conversation.persona == ("I am a sailor.",)
    assert conversation.picture is not None


def test_a_saved_conversation_is_json(session: Session, screen: Pages, tmp_path: Path) -> None:
    handle("Hello “you” 👍 \x1b[31m \ud83d", session)
    path = tmp_path / "my chat.json"
    handle(f'/save "{path}"', session)
    handle(f"/save {path}", session)
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert saved["turns"][0] == {"speaker": "person", "text": "Hello “you” 👍 [31m"}
    assert saved["turns"][1]["text"] == screen.said[0]
    assert screen.noted == [f"saved to {path}"] * 2


def test_a_conversation_that_cannot_be_saved_is_not_lost(session: Session, tmp_path: Path) -> None:
    handle("Hello.", session)
    before = session.conversation
    with pytest.raises(ConfigError, match=r"/save: .*none: no such folder"):
        handle(f"/save {tmp_path / 'none' / 'chat.json'}", session)
    with pytest.raises(ConfigError, match=r"/save: a\0b: embedded null byte"):
        handle("/save a\0b", session)
    with pytest.raises(ConfigError, match=r"/save: .*: is a folder; expected a file"):
        handle(f"/save {tmp_path}", session)
    with pytest.raises(ConfigError, match="/save: no file name"):
        handle("/save", session)
    assert session.conversation == before


def test_a_saved_conversation_goes_on_where_it_was(
    session: Session, screen: Pages, picture: Path, tmp_path: Path
) -> None:
    handle("/style Curious", session)
    handle(f"/image {picture}", session)
    handle("Hello.", session)
    handle(f"/save {tmp_path / 'chat.json'}", session)
    saved = session.conversation
    other = Session(session.bot, screen)
    handle(f"/load {tmp_path / 'chat.json'}", other)
    assert other.conversation == saved
    assert screen.noted[-1] == f"loaded from {tmp_path / 'chat.json'}"
    handle("And now?", session)
    handle("And now?", other)
    assert other.conversation == session.conversation


def test_a_file_that_is_no_harmless_conversation_changes_nothing(
    session: Session, tmp_path: Path
) -> None:
    handle("Hello.", session)
    before = session.conversation
    path = tmp_path / "chat.json"
    for content, message in (
        ("Hello.", "conversation: expected JSON: "),
        ('{"turns": [{"speaker": "bot", "text": "fuck"}]}', 'turns.0: may not be said: "fuck" is'),
        (b"\xff", "chat.json: expected text in UTF-8"),
    ):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(ConfigError, match=message):
            handle(f"/load {path}", session)
    with pytest.raises(ConfigError, match=r"none\.json: No such file or directory"):
        handle(f"/load {tmp_path / 'none.json'}", session)
    with pytest.raises(ConfigError, match=r"/load: .*: expected a file"):
        handle(f"/load {tmp_path}", session)
    with pytest.raises(ConfigError, match=r"/load: a\0b: embedded null byte"):
        handle("/load a\0b", session)
    with pytest.raises(ConfigError, match=r"/load: a{300}: File name too long"):
        handle(f"/load {'a' * 300}", session)
    with pytest.raises(ConfigError, match="/load: no file name; use /load FILE"):
        handle("/load", session)
    assert session.conversation == before


def test_help_names_every_command_and_no_other(session: Session, screen: Pages) -> None:
    handle("/help", session)
    assert screen.noted == [HELP]
    starts = [line.split()[0] for line in HELP.splitlines() if line.startswith("/")]
    assert starts == list(COMMANDS)


def test_quit_leaves(session: Session) -> None:
    with pytest.raises(Quit):
        handle("/quit", session)


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
        handle(line, session)
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
    handle("Hello.", session)
    handle("You are a fucking fool", session)
    handle(f"/image {picture}", session)
    assert session.counts.messages.judged == session.counts.replies.judged == 2
    assert session.counts.messages.refused == {"words": 1}
    handle("/guard", session)
    assert screen.noted[-1] == (
        "your messages: 2 judged, 1 refused (words 1)\nthe bot's replies: 2 judged, 0 refused"
    )


def test_a_reply_that_was_held_back_is_counted(bot: Bot, screen: Pages) -> None:
    def check(text: str, context: Sequence[str]) -> Verdict:
        return Verdict(safe=text == "Hello.", check="mine")

    session = Session(Bot(bot.engine, guard=Guard(checks=(check,))), screen)
    handle("/persona Hello.", session)
    handle("Hello.", session)
    handle("Hello.", session)
    assert (session.counts.changed, session.counts.next_best) == (2, 0)
    assert session.counts.replies.refused == {"mine": 2}
    # Neither the conversation nor what frames it is lost.
    assert len(session.conversation.turns) == 4
    assert session.conversation.persona == ("Hello.",)


def test_without_a_guard_everything_is_said(bot: Bot, screen: Pages) -> None:
    session = Session(Bot(bot.engine, guard=open_guard(GuardConfig(enabled=False))), screen)
    handle("You are a fucking fool", session)
    assert len(session.conversation.turns) == 2


def test_a_style_is_known_however_it_is_written_and_a_strange_one_is_named(
    session: Session, screen: Pages
) -> None:
    handle("/style cURIOUS", session)
    assert session.conversation.style == "Curious"
    handle("/style Curios", session)
    handle("/style asdf", session)
    assert session.conversation.style == "asdf"
    assert screen.noted == [
        "style: Curious",
        "style: Curios (no trait 'Curios'; did you mean 'Curious'?; "
        "the model may not know what it means)",
        "style: asdf (no trait 'asdf'; /style alone lists all; "
        "the model may not know what it means)",
    ]


@pytest.mark.parametrize("word", ["exit", "quit", " EXIT \n"])
def test_people_leave_as_they_do_elsewhere(session: Session, word: str) -> None:
    with pytest.raises(Quit):
        handle(word, session)
    handle("I want to quit smoking.", session)
    assert len(session.conversation.turns) == 2


def test_what_was_said_or_changed_last_is_taken_back(
    session: Session, screen: Pages, picture: Path
) -> None:
    lines = ["Hello.", f"/image {picture}", "/style Curious", "And you?", "/reset"]
    before = list[Conversation]()
    for line in lines:
        before.append(session.conversation)
        handle(line, session)
    for conversation in reversed(before):
        handle("/undo", session)
        assert session.conversation == conversation
    assert screen.noted[-5:] == [
        "took back the last change",
        "took back: And you?",
        "took back the last change",
        f"took back: {screen.said[1]}",
        "took back: Hello.",
    ]
    with pytest.raises(ConfigError, match="/undo: nothing has been said yet"):
        handle("/undo", session)


def test_an_exchange_of_a_conversation_begun_elsewhere_is_taken_back(bot: Bot) -> None:
    begun = Conversation().add("person", "Hi.").add("bot", "Hello.").add("bot", "And you?")
    session = Session(bot, Pages(), begun)
    for left in (2, 0):
        handle("/undo", session)
        assert len(session.conversation.turns) == left


def test_another_reply_takes_the_place_of_the_last(
    session: Session, bot: Bot, screen: Pages
) -> None:
    with pytest.raises(ConfigError, match="/retry: there is no reply yet"):
        handle("/retry", session)
    bot.search = SearchConfig(method="topk", beam_size=1, top_k=50, min_length=6, max_length=12)
    handle("Hello.", session)
    for seed in (1, 2):
        handle("/retry", session)
        assert screen.noted[-1] == f"seed {seed}"
        assert screen.said[-1] == bot.reply("Hello.", seed=seed).text
        assert session.conversation.texts() == ("Hello.", screen.said[-1])
    assert len(set(screen.said)) == 3
    handle("/undo", session)
    assert session.conversation.turns == ()


def test_where_nothing_is_drawn_the_next_best_reply_takes_the_place(
    session: Session, bot: Bot, checkpoint: Checkpoint, screen: Pages
) -> None:
    with torch.no_grad():  # so that a search finds several replies
        checkpoint.model.embeddings.weight[checkpoint.tokenizer.end_id] *= -4
    handle("Hello.", session)
    handle("/retry", session)
    assert screen.noted[-1].startswith("seed 1; the search of this model draws nothing")
    assert screen.said[0] != screen.said[1]
    with suppress(ConfigError):
        for _ in range(bot.search.beam_size * 4):
            handle("/retry", session)
    with pytest.raises(ConfigError, match="/retry: the model has no other reply; use /undo"):
        handle("/retry", session)
    assert session.conversation.texts() == ("Hello.", screen.said[-1])
    handle("And you?", session)
    assert len(session.conversation.turns) == 4


def test_a_description_is_asked_for_again_too(
    session: Session, bot: Bot, screen: Pages, picture: Path
) -> None:
    bot.search = SearchConfig(method="topk", beam_size=1, top_k=50, min_length=6, max_length=12)
    handle("Hello.", session)
    handle(f"/image {picture}", session)
    handle("/retry", session)
    assert len(session.conversation.turns) == 3
    assert session.conversation.turns[-1].text == screen.said[-1]


def test_a_seed_decides_what_is_drawn(session: Session, bot: Bot, screen: Pages) -> None:
    bot.search = SearchConfig(method="topk", beam_size=1, top_k=50, min_length=6, max_length=12)
    handle("/seed 7", session)
    handle("Hello.", session)
    assert screen.said == [bot.reply("Hello.", seed=7).text]
    for wrong in ("seven", str(2**63)):
        with pytest.raises(ConfigError, match="/seed: expected a"):
            handle(f"/seed {wrong}", session)
    handle("/seed", session)
    assert screen.noted == ["seed: 7", "seed: 7"]


def test_a_conversation_goes_on_with_another_model(
    session: Session, screen: Pages, picture: Path
) -> None:
    with pytest.raises(ConfigError, match="/model: this chat has one model"):
        handle("/model other", session)
    other = Bot(plain_engine(tiny_checkpoint()), guard=session.bot.guard)
    session.open_bot = {"other": other}.__getitem__
    handle("Hello.", session)
    handle(f"/image {picture}", session)
    turns = session.conversation.turns
    handle("/model other", session)
    assert (session.bot, session.conversation.turns) == (other, turns)
    assert session.conversation.picture is None
    assert screen.noted[-2:] == [
        "picture: none, for this model sees others; use /image again",
        f"model: {other.engine.config.name}",
    ]


def test_a_file_is_replaced_only_if_the_person_agrees(
    session: Session, screen: Pages, tmp_path: Path
) -> None:
    path = tmp_path / "chat.json"
    handle(f"/save {path}", session)
    before = path.read_bytes()
    handle("Hello.", session)
    screen.answer = False
    with pytest.raises(ConfigError, match="is there, and stays; use /save --replace FILE"):
        handle(f"/save {path}", session)
    assert path.read_bytes() == before
    assert screen.asked == [f"{path}: is a conversation. Replace it?"]
    handle(f"/save --replace {path}", session)
    assert path.read_bytes() != before
    path.write_text("my diary", encoding="utf-8")
    screen.answer = True
    for flag in ("", "--replace "):
        with pytest.raises(ConfigError, match="is there, and is not a conversation"):
            handle(f"/save {flag}{path}", session)
    assert path.read_text(encoding="utf-8") == "my diary"


def test_each_turn_keeps_which_picture_was_looked_at(
    session: Session, picture: Path, tmp_path: Path
) -> None:
    other = tmp_path / "a dog.png"
    tiny_image(seed=9).save(other)
    for line in ("Hi.", f"/image {picture}", "Nice?", f"/image {other}", "/image none", "Bye."):
        handle(line, session)
    handle(f"/save {tmp_path / 'chat.json'}", session)
    turns = json.loads((tmp_path / "chat.json").read_text(encoding="utf-8"))["turns"]
    names = [turn.get("shown", {}).get("name") for turn in turns]
    boat, dog = "a boat.png", "a dog.png"
    assert names == [None, None, boat, boat, boat, dog, None, None]


def test_what_is_cut_from_a_message_is_said(session: Session, screen: Pages) -> None:
    handle("Hello.", session)
    assert screen.noted == []
    handle("dog " * 500, session)
    assert re.fullmatch(
        r"the model reads the last (\d+) of the (\d+) tokens of this", screen.noted[0]
    )
    read, total = (int(number) for number in re.findall(r"\d+", screen.noted[0]))
    assert 0 < read <= session.bot.engine.config.encode.max_context < total
