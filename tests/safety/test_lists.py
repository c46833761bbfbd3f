"""Lists are short on disk and complete once read; a bad line is named."""

from pathlib import Path

import pytest

from openmmb.errors import ConfigError
from openmmb.safety.lists import (
    PLAIN_CATEGORY,
    Phrase,
    bundled_allowed,
    bundled_phrases,
    inflect,
    parse_phrases,
    read_phrases,
)
from openmmb.safety.words import SEVERITY


def slots(text: str) -> list[list[str]]:
    """Every slot of the only phrase of ``text``, sorted."""
    (phrase,) = parse_phrases(text)
    return [sorted(" ".join(words) for words in slot) for slot in phrase.slots]


def test_a_line_is_a_category_and_a_phrase_or_just_a_phrase() -> None:
    first, second = parse_phrases("# comment\n\ninsult\told oaf=\nbadger=\n")
    assert first == Phrase("insult", (frozenset({("old",)}), frozenset({("oaf",)})))
    assert second == Phrase(PLAIN_CATEGORY, (frozenset({("badger",)}),))


def test_the_last_word_is_inflected_unless_told_otherwise() -> None:
    assert slots("old oaf") == [["old"], ["oaf", "oafs"]]
    assert slots("oaf=") == [["oaf"]]
    assert slots("bash+") == [
        ["bash", "bashed", "basher", "bashers", "bashes", "bashin", "bashing"]
    ]


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("witch", "witches"),
        ("box", "boxes"),
        ("lady", "ladies"),
        ("boy", "boys"),
        ("bake", "baking"),
        ("grab", "grabbing"),
        ("murder", "murdering"),
        ("free", "freeing"),
    ],
)
def test_inflection(word: str, form: str) -> None:
    assert form in inflect(word, verb=True)


def test_choices_may_hold_words_parts_of_words_or_nothing() -> None:
    assert slots("x\t(you|all of you) (big|) oa(f|k)=") == [
        ["all of you", "you"],
        ["", "big"],
        ["oaf", "oak"],
    ]
    assert slots("x\t(a|b (c|d))=") == [["a", "b c", "b d"]]


def test_a_name_stands_for_its_part() -> None:
    assert slots("@you\t(you|u)\n@both\t({you}|he)\nx\t{both} oaf=") == [
        ["he", "u", "you"],
        ["oaf"],
    ]


@pytest.mark.parametrize(
    ("line", "inside"), [("*oaf*", "anywhere"), ("oaf*", "start"), ("*oaf", "end"), ("oaf", None)]
)
def test_stars_say_where_in_a_word_a_piece_may_stand(line: str, inside: str | None) -> None:
    (phrase,) = parse_phrases(line)
    assert phrase.inside == inside


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x\t{who} oaf", r"^phrases:1: no name 'who'; expected a line @who before it$"),
        ("@a\tb\n@c\td\n{e}", r"^phrases:3: no name 'e'; expected one of a, c$"),
        ("x\told (oaf", r"^phrases:1: unmatched bracket in '\(oaf'$"),
        ("x\t!?", r"^phrases:1: a symbol for a letter in '!\?'; use plain letters"),
        ("ok\nx\t...", r"^phrases:2: expected a word in '...'$"),
        ("x\t(a|) (b|)=", r"^phrases:1: expected a word in '\(a\|\) \(b\|\)='$"),
        ("*old oaf*", r"^phrases:1: expected a single word with \*, got '\*old oaf\*'$"),
        ("b4d$", r"^phrases:1: a symbol for a letter in 'b4d\$'; use plain letters"),
    ],
)
def test_a_bad_line_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_phrases(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a" * 1_000_000, "1000000 characters; expected at most 2000"),
        ("(a|b)" * 30, "more than 5000 spellings of"),
        ("@x\ta\n" + "@x\t{x}{x}\n" * 40, "expected at most 2000"),
    ],
    ids=["long", "many", "doubling"],
)
def test_a_line_that_would_grow_without_end_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_phrases(text)
    assert len(str(caught.value)) < 200


def test_files_are_read_or_named(tmp_path: Path) -> None:
    good, empty, binary = tmp_path / "good.txt", tmp_path / "empty.txt", tmp_path / "binary.txt"
    good.write_text("\ufeffoaf\n", encoding="utf-8")
    empty.write_text("# nothing\n", encoding="utf-8")
    binary.write_bytes(b"\xff\xfe\xff")
    assert read_phrases(good) == parse_phrases("oaf")
    with pytest.raises(ConfigError, match=r"absent.txt: No such file"):
        read_phrases(tmp_path / "absent.txt")
    with pytest.raises(ConfigError, match=r"empty.txt: no phrases; expected one on each line"):
        read_phrases(empty)
    with pytest.raises(ConfigError, match=r"binary.txt: expected text in UTF-8"):
        read_phrases(binary)


def test_the_bundled_lists_are_large_and_name_known_categories_only() -> None:
    assert len(bundled_phrases()) > 500
    assert {phrase.category for phrase in bundled_phrases()} == set(SEVERITY)
    assert {phrase.category for phrase in bundled_allowed()} == {PLAIN_CATEGORY}
