"""Gendered words are found whatever stands around them; ParlAI's own rule is kept beside ours."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.errors import DataError
from openmmb.text.gender import (
    GENDER_RULES,
    GENDER_TOKENS,
    GenderWords,
    bundled_gender_words,
    gender_token,
    load_gender_words,
    parlai_gender_token,
)

ORACLE = json.loads((Path(__file__).parent / "data" / "gender.json").read_text(encoding="utf-8"))
TOY = GenderWords(male=frozenset(ORACLE["male"]), female=frozenset(ORACLE["female"]))


@pytest.mark.parametrize(("text", "token"), ORACLE["cases"])
def test_the_parlai_rule_gives_what_parlai_gave(text: str, token: str) -> None:
    assert parlai_gender_token(text, TOY) == token


def slow_parlai(text: str, words: GenderWords) -> str:
    spaced = text.lower()
    for mark in ".!?,":
        spaced = spaced.replace(mark, " " + mark)
    spaced = spaced.replace("'", " ' ").replace("... ", " . . . ")
    for mark, wide in ((" (", " ( "), (") ", " ) "), ("; ", " ; ")):
        spaced = spaced.replace(mark, wide)
    parts = spaced.split(" ")
    female = any(part in words.female for part in parts)
    male = any(part in words.male for part in parts)
    return f"f{female:d}m{male:d}"


@given(st.lists(st.sampled_from([*" .,!?'();\n/", "... ", "he", "she", "Man", "x"])).map("".join))
def test_the_parlai_rule_equals_one_replacement_after_another(text: str) -> None:
    assert parlai_gender_token(text, TOY) == slow_parlai(text, TOY)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("", "f0m0"),
        ("They are my parents.", "f0m0"),
        ("He is here", "f0m1"),
        ("he?she", "f1m1"),
        ("boys/girls", "f1m1"),
        ("\nhe", "f0m1"),
        ("(she)", "f1m0"),
        ("brother,sister", "f1m1"),
        ("he's late", "f0m1"),
        ("He\u2019ll come", "f0m1"),
        ("the boys' room", "f0m1"),
        ("my step-mother", "f1m0"),
        ("Mrs. Jones, ma'am", "f1m0"),
        ("her fiancée", "f1m0"),
        ("her_self_ said she", "f1m0"),
        ("mankind", "f0m0"),
        ("I miss the weather there; oh my god, the other theme!", "f0m0"),
    ],
)
def test_our_rule_sees_words_next_to_any_punctuation(text: str, token: str) -> None:
    assert gender_token(text) == token


def test_titles_that_a_list_spells_with_a_full_stop_are_seen_by_our_rule_only() -> None:
    words = GenderWords(male=frozenset({"mr."}), female=frozenset({"mrs."}))
    assert gender_token("Mr. Smith", words) == "f0m1"
    assert parlai_gender_token("Mr. Smith", words) == "f0m0"


@given(st.sampled_from(sorted(bundled_gender_words().male)), st.sampled_from(["", ".", "?", "'s"]))
def test_every_bundled_word_counts_inside_a_sentence(word: str, mark: str) -> None:
    assert gender_token(f"Well, {word.title()}{mark} did it") == "f0m1"


@given(st.text())
def test_any_text_has_one_of_four_tokens(text: str) -> None:
    assert {rule(text, None) for rule in GENDER_RULES.values()} <= set(GENDER_TOKENS)


def test_the_bundled_lists_are_disjoint_and_every_entry_is_one_word() -> None:
    words = bundled_gender_words()
    assert not words.male & words.female
    assert min(len(words.male), len(words.female)) >= 200
    for word in words.male:
        assert gender_token(word) == "f0m1"
    for word in words.female:
        assert gender_token(word) == "f1m0"


def test_lists_can_be_read_from_files(tmp_path: Path) -> None:
    male, female = tmp_path / "male.txt", tmp_path / "female.txt"
    male.write_text("# male\n\nHe\nking \n", encoding="utf-8")
    female.write_text("queen\n", encoding="utf-8")
    words = load_gender_words(male, female)
    assert words == GenderWords(male=frozenset({"he", "king"}), female=frozenset({"queen"}))
    assert gender_token("The King, he left; she stayed", words) == "f0m1"


def test_a_bad_list_is_named(tmp_path: Path) -> None:
    good, empty, binary = tmp_path / "good.txt", tmp_path / "empty.txt", tmp_path / "binary.txt"
    good.write_text("she\n", encoding="utf-8")
    empty.write_text("# nothing\n", encoding="utf-8")
    binary.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match=r"absent.txt: No such file"):
        load_gender_words(tmp_path / "absent.txt", good)
    with pytest.raises(DataError, match=r"empty.txt: no words; expected one a line"):
        load_gender_words(good, empty)
    with pytest.raises(DataError, match=r"binary.txt: expected text in UTF-8"):
        load_gender_words(binary, good)
