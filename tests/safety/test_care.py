"""Somebody in danger is told that a program speaks and whom to reach; sorrow gets no cheer."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from openmmb.config import parse
from openmmb.errors import ConfigError
from openmmb.safety.answers import HELP, OWN_LINES, explain
from openmmb.safety.care import CONDOLENCES, HELP_KINDS, LINES, Care
from openmmb.safety.guard import NO_CLASSIFIER, Guard, GuardConfig, open_guard
from openmmb.safety.verdict import Verdict


@dataclass(frozen=True)
class Refuses:
    """A check that refuses everything for one reason, and finds some texts sad."""

    category: str
    sad: bool = False

    def __call__(self, text: str, context: Sequence[str]) -> Verdict:
        return Verdict(safe=False, score=0.9, check="classifier", category=self.category)

    def tells_sorrow(self, texts: Sequence[str]) -> list[bool]:
        return [self.sad] * len(texts)


@pytest.mark.parametrize("kind", sorted(HELP_KINDS))
def test_whoever_is_in_danger_hears_that_it_is_a_program_and_whom_to_reach(kind: str) -> None:
    answer = Guard(checks=(Refuses(kind),)).judge("x").answer
    assert "only a program" in answer
    assert "your local emergency number" in answer
    assert explain(Verdict(safe=False, category=kind)) == answer


def test_numbers_are_those_of_the_country() -> None:
    guard = open_guard(GuardConfig(classifier=NO_CLASSIFIER, country="GB"))
    answer = guard.judge("I want to die").answer
    assert "999" in answer
    assert "116 123" in answer
    own = GuardConfig(classifier=NO_CLASSIFIER, country="XX", help_numbers={"XX": ("123", "456")})
    assert "123" in open_guard(own).judge("I want to die").answer


def test_a_deployment_can_say_it_in_its_own_words() -> None:
    config = GuardConfig(
        classifier=NO_CLASSIFIER, country="US", help_text="Call {emergency} or {crisis}. We care."
    )
    answer = open_guard(config).judge("I want to die").answer
    assert answer == ("Call the emergency number, 911 or a crisis line such as 988. We care.")


def test_a_country_without_numbers_is_named() -> None:
    with pytest.raises(ConfigError, match="no country 'U'"):
        parse(GuardConfig, {"country": "U"}, source="guard")


@pytest.mark.parametrize("country", sorted(LINES))
def test_every_country_has_an_emergency_number_and_a_crisis_line(country: str) -> None:
    emergency, crisis = LINES[country]
    answer = Care(country).to_person("self_harm")
    assert emergency in answer
    assert crisis in answer


def test_after_sorrow_nothing_cheerful_takes_the_place_of_a_reply() -> None:
    guard = Guard(checks=(Refuses("insult", sad=True),))
    assert guard.judge("x", ["My dog died."], side="bot").answer in CONDOLENCES
    assert Guard(checks=(Refuses("insult"),)).judge("x", ["Hi!"], side="bot").answer == ""


def test_instead_of_advice_somebody_who_knows_is_named() -> None:
    guard = Guard(checks=(Refuses("unauthorized_expertise"),))
    assert "doctor" in guard.judge("x", ["Should I stop my insulin?"], side="bot").answer
    careless = Guard(checks=(Refuses("risk_ignorance"),))
    assert careless.judge("x", ["I fell."], side="bot").answer in CONDOLENCES


def test_what_frames_a_conversation_is_refused_without_an_answer_of_its_own() -> None:
    assert Guard(checks=(Refuses("self_harm"),)).judge("x", side="frame").answer == ""


def test_what_the_program_says_itself_passes_the_lists() -> None:
    guard = open_guard(GuardConfig(classifier=NO_CLASSIFIER))
    assert HELP in OWN_LINES
    assert all(guard.judge(line, side="bot").safe for line in OWN_LINES)
