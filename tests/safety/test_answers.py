"""A refusal says why in plain words, and what stands in for a reply is itself safe."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.safety.answers import HELP, REASONS, SUBJECTS, change_subject, explain, reason
from openmmb.safety.guard import GuardConfig, open_guard
from openmmb.safety.verdict import Verdict
from openmmb.safety.words import SEVERITY
from openmmb.tasks.labelled import ANSWERABLE
from openmmb.text.gender import gender_token


def refused(category: str | None, *words: str) -> Verdict:
    return Verdict(safe=False, score=0.93, check="words", category=category, words=words)


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (refused("insult", "you oaf"), 'that: "you oaf" is an insult. Could'),
        (refused("slur", "grub", "grub"), 'that: "grub" is a slur. Could'),
        (refused("profanity", "drat", "dang"), 'that: "drat", "dang" are swearing. Could'),
        (refused("hate", *"abcd"), '"a", "b", "c" are hate against'),
        (refused("listed", "x"), '"x" is on the list of what I do not talk about. Could'),
        (refused("insult", "o\x1b[1m\n  a\u200bf"), '"o[1m af" is an insult.'),
        (refused(None), "it reads as offensive (93%). Could you put it another way?"),
        (refused("biased_opinion"), "it reads as prejudiced (93%). Could"),
        (refused("of its own"), "it reads as offensive (93%). Could"),
    ],
)
def test_a_refusal_says_why(verdict: Verdict, text: str) -> None:
    assert text in explain(verdict)


def test_a_check_of_somebodys_own_is_named_and_calls_nobody_offensive() -> None:
    verdict = Verdict(safe=False, score=1.0, check="questions")
    assert reason(verdict) == 'the check "questions" refuses it'
    assert reason(replace(verdict, category="off topic")) == 'the check "questions" refuses it'
    assert reason(replace(verdict, category="insult")) == "it reads as an insult (100%)"


def test_somebody_in_danger_is_helped_and_not_blamed() -> None:
    assert explain(refused("self_harm", "kill myself")) == HELP


def test_the_reason_alone_says_so_of_everybody() -> None:
    assert reason(refused("self_harm", "kill myself")) == '"kill myself" is about harming oneself'


def test_every_category_has_its_words() -> None:
    assert set(SEVERITY) <= set(REASONS)
    assert set(REASONS) >= ANSWERABLE


def test_there_is_nothing_to_explain_about_a_safe_text() -> None:
    with pytest.raises(ValueError, match="reason: verdict is safe; only a refusal has a reason"):
        explain(Verdict(safe=True))


@given(st.integers())
def test_one_seed_one_change_of_subject(seed: int) -> None:
    assert change_subject(seed) == change_subject(seed)
    assert change_subject(seed) in SUBJECTS


def test_all_changes_of_subject_come_up_and_are_safe() -> None:
    assert {change_subject(seed) for seed in range(500)} == set(SUBJECTS)
    guard = open_guard(GuardConfig(classifier="none"))
    for text in (*SUBJECTS, HELP):
        assert guard.judge(text).safe
        assert gender_token(text) == "f0m0"


def test_an_answer_of_the_verdict_goes_before_all_others() -> None:
    verdict = Verdict(safe=False, check="classifier", category="insult", answer="Please call 112.")
    assert explain(verdict) == change_subject(3, verdict) == "Please call 112."
    assert change_subject(3, replace(verdict, answer="")) == change_subject(3)
