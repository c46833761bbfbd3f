"""The first check that refuses decides; settings decide what is refused."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.config import dump, parse
from openmmb.errors import CheckpointError, ConfigError
from openmmb.safety.guard import Guard, GuardConfig, open_guard
from openmmb.safety.trained import save_classifier
from openmmb.safety.verdict import Check, Side, Utterance, Verdict, judge_many
from tests.safety.build import tiny_classifier


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


@dataclass
class Together:
    """A check that judges many at once and counts how often it is asked."""

    asked: list[int] = field(default_factory=list)

    def __call__(self, text: str, context: Sequence[str]) -> Verdict:
        return self.judge_many([(text, context)])[0]

    def judge_many(self, utterances: Sequence[Utterance]) -> list[Verdict]:
        self.asked.append(len(utterances))
        return [by_length(text, context) for text, context in utterances]


@dataclass
class Sided:
    """A check that refuses what the bot would say and nothing else."""

    asked: list[Side] = field(default_factory=list)

    def __call__(self, text: str, context: Sequence[str]) -> Verdict:
        return self.judge_side([(text, context)], "person")[0]

    def judge_side(self, utterances: Sequence[Utterance], side: Side) -> list[Verdict]:
        self.asked.append(side)
        return [Verdict(safe=side != "bot", check="sided") for _ in utterances]


def test_a_check_can_tell_who_would_say_a_text() -> None:
    check = Sided()
    guard = Guard(checks=(says(SAFE), check))
    assert guard.judge("x").safe
    assert not guard.judge("x", side="bot").safe
    assert guard.judge_many([("x", ())], side="frame")[0].safe
    assert not guard.ask_all("x", side="bot")[1].safe
    assert check.asked == ["person", "bot", "frame", "bot"]


def by_length(text: str, context: Sequence[str]) -> Verdict:
    score = min(1.0, (len(text) + len(context)) / 10)
    return Verdict(safe=score < 0.6, score=score, check="length")


def by_letter(text: str, context: Sequence[str]) -> Verdict:
    return Verdict(safe="a" not in text, score=0.3, check="letter")


@given(st.lists(st.tuples(st.text("abc", max_size=8), st.lists(st.text(), max_size=3))))
def test_many_are_judged_as_each_alone_by_every_kind_of_check(
    utterances: list[tuple[str, list[str]]],
) -> None:
    together = Together()
    guard = Guard(checks=(by_letter, together))
    verdicts = guard.judge_many(utterances)
    passed = sum("a" not in text for text, _ in utterances)
    assert together.asked == ([passed] if passed else [])
    assert verdicts == [guard.judge(text, context) for text, context in utterances]
    assert judge_many(by_length, utterances) == judge_many(together, utterances)


def test_the_guard_as_it_comes_judges_many_as_each_alone() -> None:
    guard = open_guard(GuardConfig())
    utterances = [
        ("Hello there", ()),
        ("oh shit", ("Hello there",)),
        ("", ()),
        ("You stupid idiot, nobody likes you.", ("And you?", "Fine.")),
        ("We sail on Sundays, " * 20, ()),
    ]
    for (text, context), verdict in zip(utterances, guard.judge_many(utterances), strict=True):
        alone = guard.judge(text, context)
        assert verdict.score == pytest.approx(alone.score, abs=1e-5)
        assert replace(verdict, score=alone.score) == alone


def test_without_checks_everything_is_safe() -> None:
    assert Guard(checks=()).judge("fuck") == Verdict(safe=True)


def test_the_context_reaches_the_checks() -> None:
    def check(text: str, context: Sequence[str]) -> Verdict:
        return Verdict(safe="no" not in context, check="context")

    guard = Guard(checks=(check,))
    assert guard.judge("x", ["yes"]).safe
    assert not guard.judge("x", ["yes", "no"]).safe


def test_the_guard_as_it_comes() -> None:
    guard = open_guard(GuardConfig(classifier="none"))
    assert guard.judge("What is your gender? Who are you? How old are you?").safe
    verdict = guard.judge("Well, sh1t.")
    assert (verdict.safe, verdict.check, verdict.category) == (False, "words", "profanity")
    assert verdict.words == ("sh1t",)


def test_a_higher_threshold_lets_swearing_pass_but_no_threat() -> None:
    guard = open_guard(GuardConfig(threshold=0.65, classifier="none"))
    assert guard.judge("oh shit").safe
    assert not guard.judge("i will kill you").safe


def test_it_can_be_turned_off() -> None:
    assert open_guard(GuardConfig(enabled=False)).judge("oh shit").safe


def test_more_lists_and_more_checks_can_be_given(tmp_path: Path) -> None:
    refuse, allow = tmp_path / "refuse.txt", tmp_path / "allow.txt"
    refuse.write_text("broccoli\n", encoding="utf-8")
    allow.write_text("holy shit\n", encoding="utf-8")
    settings = GuardConfig(phrase_files=(refuse,), allow_files=(allow,), classifier="none")
    guard = open_guard(settings)
    assert guard.judge("I like BR0CC0LI").words == ("BR0CC0LI",)
    assert guard.judge("holy shit").safe
    assert open_guard(GuardConfig(classifier="none"), more=(says(UNSAFE),)).judge("hello") is UNSAFE
    with pytest.raises(ConfigError, match=r"absent.txt: No such file"):
        open_guard(GuardConfig(phrase_files=(tmp_path / "absent.txt",)))


def test_settings_survive_the_file_and_bad_ones_are_refused() -> None:
    settings = GuardConfig(threshold=0.7, phrase_files=(Path("a.txt"),))
    assert parse(GuardConfig, tomllib.loads(dump(settings))) == settings
    with pytest.raises(ConfigError, match=r"threshold must be above 0 and at most 1, got 1\.5"):
        parse(GuardConfig, {"threshold": 1.5})


def test_every_check_says_its_verdict_also_after_one_that_refuses() -> None:
    guard = Guard(checks=(says(SAFE), says(UNSAFE), says(WORSE)))
    assert guard.ask_all("x") == (SAFE, UNSAFE, WORSE)
    assert Guard(checks=()).ask_all("x") == ()


def test_a_verdict_says_from_which_score_its_check_refuses() -> None:
    guard = open_guard(GuardConfig(threshold=0.65, classifier="none"))
    assert {guard.judge(text).threshold for text in ("Hello", "oh shit", "i will kill you")} == {
        0.65
    }


def test_a_classifier_is_asked_after_the_lists(tmp_path: Path) -> None:
    save_classifier(tiny_classifier(), tmp_path / "mine", precision="fp32")
    settings = GuardConfig(classifier=str(tmp_path / "mine"), classifier_threshold=0.01)
    guard = open_guard(settings)
    assert [verdict.check for verdict in guard.ask_all("Hello there")] == ["words", "classifier"]
    assert guard.judge("Hello there").check == "classifier"  # which is noise: it refuses all
    assert guard.judge("oh shit").check == "words"
    assert parse(GuardConfig, tomllib.loads(dump(settings))) == settings
    lenient = open_guard(replace(settings, classifier_threshold=1.0))
    assert lenient.judge("Hello there").safe
    assert len(open_guard(replace(settings, classifier="none")).checks) == 1
    with pytest.raises(CheckpointError, match="absent: no such folder"):
        open_guard(GuardConfig(classifier=str(tmp_path / "absent")))
    with pytest.raises(ConfigError, match=r"classifier_threshold must be above 0 .* got 0"):
        parse(GuardConfig, {"classifier_threshold": 0.0})


@pytest.mark.parametrize(
    "text",
    [
        "I have been thinking of jumping off the bridge",
        "I cut my arm again last night",
        "Everybody would be better off without me",
        "Nobody would miss me",
        "Tell me it is not worth living",
        "My life is so pointless",
        "Give me one reason to stay alive",
        "I hope I never wake up",
        "Is it painful to die?",
    ],
)
def test_somebody_who_may_harm_themselves_is_heard(text: str) -> None:
    assert open_guard(GuardConfig(classifier="none")).judge(text).category == "self_harm"


@pytest.mark.parametrize(
    "text",
    [
        "I jumped off the cliff into the lake and it was great",
        "Is this book worth reading? Life is good.",
        "I burned my arm while I was cooking",
        "It would be better with sugar and without meat",
        "I never wake up early on Sundays",
        "My cock crows every morning",
        "I will kick the ball to him",
    ],
)
def test_ordinary_talk_that_sounds_like_it_passes(text: str) -> None:
    assert open_guard(GuardConfig(classifier="none")).judge(text).safe
