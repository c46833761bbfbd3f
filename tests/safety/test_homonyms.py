"""A listed word passes as a name and in the company of its other meaning, and nowhere else."""

import pytest

from openmmb.safety.guard import NO_CLASSIFIER, Guard, GuardConfig, open_guard
from openmmb.safety.homonyms import parse_homonyms


@pytest.fixture(scope="module")
def guard() -> Guard:
    return open_guard(GuardConfig(classifier=NO_CLASSIFIER))


@pytest.mark.parametrize(
    "text",
    [
        "Gaylord Hotel",
        "We stayed at the Gaylord Hotel.",
        "Ms. Hooker is my teacher.",
        "I live on Dyke Road.",
        "My name is Randy Dick.",
        "my name is Gaylord",
        "Sgt. Dick Cummings called.",
        "We drove up Fanny Hill.",
        "I met Mrs. Butt and Dr. Wang.",
        "a hoe and a rake",
        "my donkey, a stubborn ass, carried the hay",
        "We also have a hen and an ass",
        "Our dog, a spaniel bitch, had five puppies.",
        "The cock crows at the hens.",
        "I saw blue tits at the bird feeder.",
        "a chink of light came through the curtains",
        "She plays hooker in rugby.",
        "The slag came out of the iron furnace.",
    ],
)
def test_names_and_other_meanings_pass(text: str, guard: Guard) -> None:
    assert guard.judge(text).safe


@pytest.mark.parametrize(
    "text",
    [
        "You are a hoe.",
        "You stubborn ass!",
        "get off my donkey, you stubborn ass",
        "what a bitch",
        "the dyke next door",
        "You are a bitch, my dog is nicer.",
        "Mr. Cunt",
    ],
)
def test_the_same_words_as_insults_do_not(text: str, guard: Guard) -> None:
    assert not guard.judge(text).safe


def test_lines_name_words_and_their_company() -> None:
    homonyms = parse_homonyms(
        ["# a comment", "", "@name\toaf", "clod clods\tearth* soil", "boor\t"]
    )
    assert homonyms.names == {"oaf"}
    assert set(homonyms.company) == {"clod", "clods"}
    assert homonyms.company["clod"].fullmatch("earthen")
    assert not homonyms.company["clod"].fullmatch("soils")
