"""``openmmb safety`` says what the guard of a chat would, and why, in words and by exit code."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from openmmb.cli import main
from openmmb.safety.trained import save_classifier
from tests.safety.build import tiny_classifier

Judge = Callable[..., tuple[int, str]]


@pytest.fixture
def judge(capsys: pytest.CaptureFixture[str]) -> Judge:
    """Run the command; return its exit code and what it prints.

    The lists alone judge, unless a classifier is named.
    """

    def run(*args: str) -> tuple[int, str]:
        lists = [] if "--classifier" in args else ["--classifier", "none"]
        try:
            code = main(["safety", *args, *lists])
        except SystemExit as end:
            code = int(end.code or 0)
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    return run


def test_a_safe_text_is_exit_code_0(judge: Judge) -> None:
    assert judge("How old are you?") == (
        0,
        "safe: How old are you?\n  words: score 0.00, refuses from 0.50\n",
    )


def test_the_bundled_classifier_is_asked_unless_another_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["safety", "How old are you?"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()[1:]] == [
        "  words",
        "  classifier",
    ]


def test_an_unsafe_text_is_exit_code_1_and_its_reason(judge: Judge) -> None:
    assert judge("Well, sh1t, you.") == (
        1,
        "unsafe: Well, sh1t, you.\n"
        '  because "sh1t" is swearing\n'
        '  words: score 0.60, refuses from 0.50, profanity: "sh1t"\n',
    )


def test_what_scores_below_the_threshold_is_told_and_passes(judge: Judge) -> None:
    code, shown = judge("Well, sh1t.", "--guard-threshold", "0.65")
    assert code == 0
    assert 'words: score 0.60, refuses from 0.65, profanity: "sh1t"' in shown


def test_lists_of_ones_own_come_once_for_each_file(judge: Judge, tmp_path: Path) -> None:
    flags = []
    for name, phrase in (("a", "broccoli"), ("b", "leek")):
        (tmp_path / name).write_text(f"{phrase}\n", encoding="utf-8")
        flags += ["--guard-words", str(tmp_path / name)]
    code, shown = judge("Leeks, no br0ccoli", *flags)
    assert code == 1
    assert '"Leeks", "br0ccoli" are on the list of what I do not talk about' in shown
    (tmp_path / "c").write_text("leeks\n", encoding="utf-8")
    code, shown = judge("Leeks", *flags, "--guard-allow", str(tmp_path / "c"))
    assert code == 0


def test_a_classifier_is_asked_with_what_was_said_before(judge: Judge, tmp_path: Path) -> None:
    save_classifier(tiny_classifier(), tmp_path / "mine", precision="fp32")
    flags = ["--classifier", str(tmp_path / "mine"), "--classifier-threshold", "1", "--json"]
    scores = set()
    for context in ((), ("--context", "Hi."), ("--context", "Two dogs", "--context", "Hi.")):
        code, shown = judge("Do you agree?", *flags, *context)
        row = json.loads(shown)
        assert (code, row["safe"], row["text"]) == (0, True, "Do you agree?")
        assert [verdict["check"] for verdict in row["verdicts"]] == ["words", "classifier"]
        scores.add(row["verdicts"][1]["score"])
    assert len(scores) == 2  # the tiny one looks one turn back


def test_lines_are_read_from_standard_input(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("Hello\n\n \x1b[2Jwell, sh1t\nBye"))
    code, shown = judge("-", "--json")
    rows = [json.loads(line) for line in shown.splitlines()]
    assert code == 1
    assert [row["text"] for row in rows] == ["Hello", "[2Jwell, sh1t", "Bye"]
    assert [row["safe"] for row in rows] == [True, False, True]
    assert rows[1]["verdicts"] == [
        {
            "safe": False,
            "score": 0.6,
            "check": "words",
            "category": "profanity",
            "words": ["sh1t"],
            "threshold": 0.5,
            "answer": "",
        }
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))  # nothing judged is not all safe
    message = "openmmb safety: -: standard input is empty; expected a text a line\n"
    assert judge("-") == (2, message)


def test_nothing_in_a_text_steers_the_terminal(judge: Judge) -> None:
    code, shown = judge("\x1b[2Jsh1t\u202e\n\x07")
    assert code == 1
    assert shown.startswith("unsafe: [2Jsh1t\n")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--guard-threshold", "2"], "guard: threshold must be above 0 and at most 1, got 2.0"),
        (["--classifier-threshold", "0"], "classifier_threshold must be above 0"),
        (["--guard-words", "absent.txt"], "absent.txt: No such file"),
        (["--classifier", "absent"], "absent: no such folder"),
    ],
)
def test_a_mistake_is_exit_code_2(judge: Judge, flags: list[str], message: str) -> None:
    code, shown = judge("Hello", *flags)
    assert code == 2
    assert shown.startswith("openmmb safety: ")
    assert message in shown
    assert shown.count("\n") == 1
