"""Which gendered words a text has: the control token that training appends and chat asks for.

A token is ``f<0|1>m<0|1>``: whether any female and any male word occurs. ``f0m0`` as the control
of a reply means "say nothing gendered" (Xu et al. 2020, "Recipes for Safety in Open-domain
Chatbots"; Dinan et al. 2019, "Queens are Powerful too").
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from openmmb.errors import DataError
from openmmb.files import read_text

GENDER_TOKENS = ("f0m0", "f0m1", "f1m0", "f1m1")
"""Every control token, in the order of their names."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "\uff07": "'"})
_PARLAI_SPACED = str.maketrans({".": " .", "!": " !", "?": " ?", ",": " ,", "'": " ' "})


@dataclass(frozen=True, slots=True)
class GenderWords:
    """The words that count as male and as female, in lower case, as their lists spell them."""

    male: frozenset[str]
    female: frozenset[str]


@cache
def bundled_gender_words() -> GenderWords:
    """Read the lists that come with the package."""
    folder = resources.files("openmmb.text") / "words"
    male, female = (
        _words((folder / f"{name}.txt").read_text(encoding="utf-8")) for name in ("male", "female")
    )
    return GenderWords(male=male, female=female)


@cache
def open_gender_words(folder: str) -> GenderWords:
    """Read the lists of a folder in gn_glove's names, which labelled the original's data.

    Raises:
        DataError: A list is missing, is not UTF-8, or has no word.
    """
    return load_gender_words(
        Path(folder) / "male_word_file.txt", Path(folder) / "female_word_file.txt"
    )


def load_gender_words(male: Path, female: Path) -> GenderWords:
    """Read two lists with one word a line; blank lines and lines that begin with # are skipped.

    Raises:
        DataError: A list cannot be read, is not UTF-8, or has no word.
    """
    return GenderWords(male=_read(male), female=_read(female))


def gender_token(text: str, words: GenderWords | None = None) -> str:
    """Name the gendered words of ``text``, whatever punctuation stands around them.

    A contraction or possessive counts as its head ("he's", "boy's"), accents are ignored
    ("fiancée"), and each part of a compound counts ("he/she", "step-mother").

    Args:
        text: One reply.
        words: The lists; the bundled ones when None.
    """
    forms = {form for word in _WORD.findall(_plain(text)) for form in _forms(word)}
    return _token(forms, words or bundled_gender_words())


def parlai_gender_token(text: str, words: GenderWords | None = None) -> str:
    """Name the gendered words of ``text`` by ParlAI's rule, which labelled the original's data.

    ParlAI puts spaces around some punctuation and splits at single spaces only, so a word next to
    a newline, slash, semicolon or inner comma is missed ("he?she" is ``f0m1``, "a/he" is ``f0m0``),
    and list entries that hold a full stop ("mr.") can never match
    (``parlai/tasks/genderation_bias/utils.py``).

    Args:
        text: One reply.
        words: The lists; the bundled ones when None.
    """
    spaced = text.lower().translate(_PARLAI_SPACED)
    spaced = spaced.replace(" (", " ( ").replace(") ", " ) ").replace("; ", " ; ")
    return _token(set(spaced.split(" ")), words or bundled_gender_words())


GENDER_RULES: dict[str, Callable[[str, GenderWords | None], str]] = {
    "words": gender_token,
    "parlai": parlai_gender_token,
}
"""The two rules by the names that a setting gives them."""


def _token(forms: set[str], words: GenderWords) -> str:
    has_female = not words.female.isdisjoint(forms)
    has_male = not words.male.isdisjoint(forms)
    return f"f{int(has_female)}m{int(has_male)}"


def _plain(text: str) -> str:
    lower = text.translate(_APOSTROPHES).lower()
    if lower.isascii():
        return lower
    decomposed = unicodedata.normalize("NFKD", lower)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _forms(word: str) -> tuple[str, ...]:
    # Published lists spell titles with their full stop ("mr."), which is never part of a word here.
    return (word, word + ".", word.partition("'")[0])


def _read(path: Path) -> frozenset[str]:
    words = _words(read_text(path, error=DataError))
    if not words:
        raise DataError(f"{path}: no words; expected one a line")
    return words


def _words(text: str) -> frozenset[str]:
    lines = (line.strip().lower() for line in text.splitlines())
    return frozenset(line for line in lines if line and not line.startswith("#"))
