"""Listed phrases are found through disguises, and plain conversation passes."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.safety.lists import bundled_allowed, bundled_phrases, parse_phrases
from openmmb.safety.verdict import Verdict
from openmmb.safety.words import PhraseCheck, PhraseMatcher

TOY = PhraseMatcher(
    parse_phrases(
        "insult\toaf\nthreat\t(i will|ill) (really|) hex+\nslur\t*grub*\nprofanity\tdrat"
    ),
    parse_phrases("oaf tree\ngrubstake"),
)
BUNDLED = PhraseMatcher(bundled_phrases(), bundled_allowed())
PLAIN = (Path(__file__).parent / "data" / "plain.txt").read_text(encoding="utf-8").splitlines()


def found(text: str, matcher: PhraseMatcher = TOY) -> list[str]:
    return [text[match.start : match.end] for match in matcher.find(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Hello there.", []),
        ("You OAF!", ["OAF"]),
        ("oafs, all of them", ["oafs"]),
        ("an oaf's oaf", ["oaf's", "oaf"]),
        ("I will hex you", ["I will hex"]),
        ("I'll really, really hex", []),
        ("I'll be hexing", []),
        ("ill really hex", ["ill really hex"]),
        ("I will. Hex is a game.", []),
        ("sea-grubber", ["grubber"]),
        ("the oaf tree, a grubstake", []),
        ("an oaf tree and an oaf", ["oaf"]),
        ("o a f", ["o a f"]),
        ("0@f!", ["0@f!"]),
        ("oooaf", ["oooaf"]),
        ("g**b", ["g**b"]),
        ("g***b", []),
        ("gr*b", ["gr*b"]),
        ("d**t", ["d**t"]),
        ("d*t", ["d*t"]),
        ("dr at", ["dr at"]),
        ("***", []),
    ],
)
def test_what_is_found(text: str, words: list[str]) -> None:
    assert found(text) == words


def test_the_longest_of_overlapping_matches_is_told() -> None:
    matcher = PhraseMatcher(parse_phrases("a\told oaf=\nb\toaf=\nc\told oaf face="))
    (match,) = matcher.find("you old oaf face")
    assert (match.start, match.end, match.category) == (4, 16, "c")


def test_the_worst_category_decides_and_scores() -> None:
    verdict = PhraseCheck(TOY)("drat, you grub", ())
    assert verdict == Verdict(
        safe=False, score=1.0, check="words", category="slur", words=("drat", "grub"), threshold=0.5
    )


def test_a_match_below_the_threshold_passes_but_is_told() -> None:
    verdict = PhraseCheck(TOY, threshold=0.7)("drat", ())
    assert verdict == Verdict(
        safe=True, score=0.6, check="words", category="profanity", words=("drat",), threshold=0.7
    )


def test_a_match_at_the_threshold_is_refused() -> None:
    assert not PhraseCheck(TOY, threshold=0.6)("drat", ()).safe
    assert PhraseCheck(TOY, threshold=0.61)("drat", ()).safe


@pytest.mark.parametrize("text", ["\U0001f595oaf", "oaf\U0001f595"])
def test_what_only_adjoins_an_allowed_phrase_is_found(text: str) -> None:
    matcher = PhraseMatcher(parse_phrases("insult\toaf"), parse_phrases("\U0001f595"))
    assert found(text, matcher) == ["oaf"]
    assert found(text, PhraseMatcher(parse_phrases("insult\toaf\nslur\t\U0001f595"))) == (
        ["\U0001f595", "oaf"] if text.endswith("oaf") else ["oaf", "\U0001f595"]
    )


WORDS = ["a", "b", "c", "d"]


def slow(said: list[str], phrases: list[list[str]]) -> set[tuple[int, int]]:
    """Every place where a phrase stands."""
    return {
        (start, start + len(phrase))
        for phrase in phrases
        for start in range(len(said))
        if said[start : start + len(phrase)] == phrase
    }


phrase_lists = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), min_size=1, max_size=6
)


@given(st.lists(st.sampled_from(WORDS), max_size=8), phrase_lists)
def test_a_walk_finds_what_comparing_every_place_finds(
    said: list[str], phrases: list[list[str]]
) -> None:
    names = {word: word * 2 + "x" for word in WORDS}  # words, so that no letter stands alone
    text = " ".join(names[word] for word in said)
    lines = "\n".join("x\t" + " ".join(names[word] for word in phrase) + "=" for phrase in phrases)
    matches = PhraseMatcher(parse_phrases(lines)).find(text)
    places = [match.start() for match in re.finditer(r"\S+", text)] + [len(text) + 1]
    everything = slow(said, phrases)
    kept = {(places.index(match.start), places.index(match.end + 1)) for match in matches}
    assert kept <= everything
    covered = {place for start, end in kept for place in range(start, end)}
    assert all(covered & set(range(start, end)) for start, end in everything)


@given(phrase_lists)
def test_a_choice_equals_its_lines(phrases: list[list[str]]) -> None:
    lines = [" ".join(word * 2 + "x" for word in phrase) for phrase in phrases]
    together = PhraseMatcher(parse_phrases("x\t(" + "|".join(lines) + ")="))
    apart = PhraseMatcher(parse_phrases("\n".join(f"x\t{line}=" for line in lines)))
    for line in lines:
        assert together.find(f"oh {line} no") == apart.find(f"oh {line} no") != ()


@pytest.mark.parametrize(
    "text",
    [
        "fuck",
        "What the FUCK",
        "f u c k you",
        "f.u.c.k",
        "F_U_C_K",
        "fuuuuuck",
        "fuсk",  # Cyrillic c
        "fυck",  # Greek u
        "fu\u200bck",
        "f̶u̶c̶k̶",
        "𝖋𝖚𝖈𝖐",
        "f*ck",
        "f**k",
        "f@ck",
        "fu ck",
        "unfuckingbelievable",
        "sh1t",
        "$hit",
        "5h!t",
        "b!tch",
        "a$$hole",
    ],
)
def test_swearing_is_found_in_disguise(text: str) -> None:
    assert found(text, BUNDLED)


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("You are such an idiot.", "insult"),
        ("you're really pathetic", "insult"),
        ("are u stupid", "insult"),
        ("I'm going to kill you", "threat"),
        ("go kill yourself", "threat"),
        ("how do I make a pipe bomb?", "threat"),
        ("I want to kill myself", "self_harm"),
        ("i dont want to live anymore", "self_harm"),
        ("All immigrants are criminals", "hate"),
        ("show me your boobs", "sexual"),
        ("where can I buy cocaine", "drugs"),
    ],
)
def test_unsafe_talk_without_a_listed_word_is_found(text: str, category: str) -> None:
    assert category in {match.category for match in BUNDLED.find(text)}


@pytest.mark.parametrize("text", PLAIN)
def test_plain_conversation_passes(text: str) -> None:
    assert found(text, BUNDLED) == []


def test_every_bundled_single_word_is_found_in_capitals() -> None:
    for phrase in bundled_phrases():
        if len(phrase.slots) == 1:
            for words in phrase.slots[0]:
                assert found(" ".join(words).upper(), PhraseMatcher([phrase]))


@given(st.text(max_size=80))
def test_any_text_can_be_judged(text: str) -> None:
    verdict = PhraseCheck(BUNDLED)(text, ())
    assert all(word in text for word in verdict.words)
