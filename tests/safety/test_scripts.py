"""Own lists work in scripts with vowel signs and without spaces; no letters cost much memory."""

import random
import resource
from pathlib import Path

import pytest

from openmmb.errors import ConfigError
from openmmb.safety.guard import NO_CLASSIFIER, Guard, GuardConfig, open_guard
from openmmb.safety.lists import parse_phrases

HINDI, THAI, CHINESE, JAPANESE = (
    "\u0938\u093e\u0932\u093e",
    "\u0e44\u0e2d\u0e49\u0e1a\u0e49\u0e32",
    "\u7b28\u86cb",
    "\u3070\u304b",
)


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    path = tmp_path / "own.txt"
    path.write_text("\n".join((HINDI, THAI, CHINESE, JAPANESE)), encoding="utf-8")
    return open_guard(GuardConfig(classifier=NO_CLASSIFIER, phrase_files=(path,)))


@pytest.mark.parametrize(
    "text",
    [
        f"\u0935\u0939 {HINDI} \u0939\u0948",
        f"\u0e04\u0e38\u0e13{THAI}\u0e21\u0e32\u0e01",
        f"\u4f60\u662f{CHINESE}\u5417",
        f"\u304a\u524d\u306f{JAPANESE}\u3060",
    ],
)
def test_an_entry_is_met_within_a_sentence(text: str, guard: Guard) -> None:
    assert not guard.judge(text).safe


@pytest.mark.parametrize(
    "text",
    [
        "\u0907\u0938 \u0938\u093e\u0932 \u092c\u093e\u0930\u093f\u0936 \u0939\u0941\u0908",
        "\u306f\u304b\u306b\u884c\u304f",
        "\u4f60\u597d",
    ],
)
def test_a_word_that_differs_in_a_vowel_sign_or_a_mark_is_another(text: str, guard: Guard) -> None:
    assert guard.judge(text).safe


def test_an_entry_of_several_words_needs_a_script_with_spaces() -> None:
    with pytest.raises(ConfigError, match="script without spaces"):
        parse_phrases(f"{CHINESE} {JAPANESE}")


ALPHABETS = {
    "han": [chr(code) for code in range(0x4E00, 0x9000)],
    "devanagari": [chr(code) for code in range(0x905, 0x94D)],
    "hangul": [chr(code) for code in range(0xAC00, 0xD000)],
    "emoji": [chr(code) for code in range(0x1F300, 0x1F600)],
    "marks": ["a", *(chr(code) for code in range(0x300, 0x36F))],
    "symbols": list("@$!|+*#%^~'a1-_ "),
    "digits": list("0134578@$!| a"),
    "lone letters": ["a ", "b ", "@ ", "1 "],
    "stars": list("a* "),
}


@pytest.mark.parametrize("letters", ALPHABETS.values(), ids=ALPHABETS.keys())
def test_a_long_message_of_any_letters_takes_little_memory(letters: list[str]) -> None:
    rng = random.Random(0)
    text = "".join(rng.choice(letters) for _ in range(20_000))[:20_000]
    guard = open_guard(GuardConfig())
    guard.judge("Load what is loaded once.")
    before = _peak()
    guard.judge(text, [text])
    assert _peak() - before < 200e6


def _peak() -> float:
    """Bytes of memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
