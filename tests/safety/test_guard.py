"""The first check that refuses decides; settings decide what is refused."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from openmmb.config import dump, parse
from openmmb.errors import ConfigError
from openmmb.safety.guard import Guard, GuardConfig, open_guard
from openmmb.safety.verdict import Check, Verdict


def says(verdict: Verdict) -> Check:
    def check(text: str, context: Sequence[str]) -> Verdict:
        return verdict

    return check


SAFE = Verdict(safe=True, score=0.1, check="one")
SAFE_BUT_CLOSE = Verdict(safe=True, score=0.4, check="two")
UNSAFE = Verdict(safe=False, score=0.9, check="three", category="insult")
WORSE = Verdict(safe=False, score=1.0, check="four", category="slur")


def test_the_first_unsafe_verdict_decides() -> None:
    guard = Guard(checks=(says(SAFE), says(UNSAFE), says(WORSE)))
    assert guard.judge("x") is UNSAFE


def test_of_safe_verdicts_the_highest_score_is_told() -> None:
    assert Guard(checks=(says(SAFE), says(SAFE_BUT_CLOSE))).judge("x") is SAFE_BUT_CLOSE
    assert Guard(checks=(says(Verdict(safe=True, check="zero")),)).judge("x").check == "zero"


def test_without_checks_everything_is_safe() -> None:
    assert Guard(checks=()).judge("fuck") == Verdict(safe=True)


def test_the_context_reaches_the_checks() -> None:
    def check(text: str, context: Sequence[str]) -> Verdict:
        return Verdict(safe="no" not in context, check="context")

    guard = Guard(checks=(check,))
    assert guard.judge("x", ["yes"]).safe
    assert not guard.judge("x", ["yes", "no"]).safe


def test_the_guard_as_it_comes() -> None:
    guard = open_guard(GuardConfig())
    assert guard.judge("What is your gender? Who are you? How old are you?").safe
    verdict = guard.judge("Well, sh1t.")
    assert (verdict.safe, verdict.check, verdict.category) == (False, "words", "profanity")
    assert verdict.words == ("sh1t",)


def test_a_higher_threshold_lets_swearing_pass_but_no_threat() -> None:
    guard = open_guard(GuardConfig(threshold=0.65))
    assert guard.judge("oh shit").safe
    assert not guard.judge("i will kill you").safe


def test_it_can_be_turned_off() -> None:
    assert open_guard(GuardConfig(enabled=False)).judge("oh shit").safe


def test_more_lists_and_more_checks_can_be_given(tmp_path: Path) -> None:
    refuse, allow = tmp_path / "refuse.txt", tmp_path / "allow.txt"
    refuse.write_text("broccoli\n", encoding="utf-8")
    allow.write_text("holy shit\n", encoding="utf-8")
    settings = GuardConfig(phrase_files=(refuse,), allow_files=(allow,))
    guard = open_guard(settings)
    assert guard.judge("I like BR0CC0LI").words == ("BR0CC0LI",)
    assert guard.judge("holy shit").safe
    assert open_guard(GuardConfig(), more=(says(UNSAFE),)).judge("hello") is UNSAFE
    with pytest.raises(ConfigError, match=r"absent.txt: No such file"):
        open_guard(GuardConfig(phrase_files=(tmp_path / "absent.txt",)))


def test_settings_survive_the_file_and_bad_ones_are_refused() -> None:
    settings = GuardConfig(threshold=0.7, phrase_files=(Path("a.txt"),))
    assert parse(GuardConfig, tomllib.loads(dump(settings))) == settings
    with pytest.raises(ConfigError, match=r"threshold must be above 0 and at most 1, got 1\.5"):
        parse(GuardConfig, {"threshold": 1.5})
