"""Lists of phrases on disk: one a line, short to write, expanded when read.

::

    # a comment
    @you<TAB>(you|u)              a name; {you} stands for it from here on
    insult<TAB>{you} (big|) oaf   (a|b) is a choice, an empty one means "or nothing"
    threat<TAB>hurt+              + also -ed -ing -in -er -ers of the last word
    slur<TAB>word=                = this spelling only; otherwise the last word's plural counts too
    profanity<TAB>*word*          * inside any word, or only at its end (word*) or start (*word)
    word                          without a category: "listed"

A plain list of words, one a line, is such a list too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from openmmb.errors import ConfigError, shorten, unknown
from openmmb.files import read_text
from openmmb.safety.fold import DENSE, fold

PLAIN_CATEGORY = "listed"
"""Category of a line that names none."""

_NAME = re.compile(r"\{([^{}]*)\}")
LONGEST: Final = 2000
"""Most characters of a line, with what its names stand for."""
MOST_SPELLINGS: Final = 5000
"""Most spellings of a word: brackets behind each other multiply them."""
_DISGUISE = re.compile(r"[@$!*#+=]")
_VOWEL = re.compile(r"[aeiou]")
_DOUBLING = re.compile(r".*[^aeiou][aeiou][bdgkmnprt]")


Slot = frozenset[tuple[str, ...]]
"""The alternatives at one position of a phrase: runs of folded words; an empty run is nothing."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that follow each other.

    Attributes:
        category: Kind of harm.
        slots: The alternatives at each position; for ``inside`` one piece of a word.
        inside: None, or where in a longer word the piece may be.
    """

    category: str
    slots: tuple[Slot, ...]
    inside: Literal["start", "end", "anywhere"] | None = None


@cache
def bundled_phrases() -> tuple[Phrase, ...]:
    """Read the list that comes with the package."""
    return _bundled("phrases.txt")


@cache
def bundled_allowed() -> tuple[Phrase, ...]:
    """Read the harmless words that look like listed ones."""
    return _bundled("allow.txt")


@cache
def bundled_frames() -> tuple[Phrase, ...]:
    """Read the list of what styles and personas may not make of the bot."""
    return _bundled("frames.txt")


def read_phrases(path: Path) -> tuple[Phrase, ...]:
    """Read a list of phrases.

    Raises:
        ConfigError: The file cannot be read, is not UTF-8, has no phrase, or a line is malformed.
    """
    phrases = parse_phrases(read_text(path), source=str(path))
    if not phrases:
        raise ConfigError(f"{path}: no phrases; expected one on each line")
    return phrases


def parse_phrases(text: str, *, source: str = "phrases") -> tuple[Phrase, ...]:
    """Expand the lines of a list.

    Raises:
        ConfigError: A line has an unknown name, an open bracket, a symbol for a letter, or no word.
    """
    names: dict[str, str] = {}
    phrases: list[Phrase] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        where = f"{source}:{number}"
        category, tab, pattern = stripped.partition("\t")
        if not tab:
            category, pattern = PLAIN_CATEGORY, stripped
        pattern = _fill(pattern.strip(), names, where)
        if category.startswith("@"):
            names[category[1:]] = pattern
        else:
            phrases.append(_phrase(category, pattern, where))
    return tuple(phrases)


def inflect(word: str, *, verb: bool) -> list[str]:
    """List the regular forms of ``word``: itself, its plural, and those of a verb if it is one."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        plural = word + "es"
    elif word.endswith("y") and not _VOWEL.match(word[-2:-1]):
        plural = word[:-1] + "ies"
    else:
        plural = word + "s"
    forms = [word, plural]
    if not verb:
        return forms
    stems = [word[:-1] if word.endswith("e") and not word.endswith("ee") else word]
    if _DOUBLING.fullmatch(word):  # whether the consonant doubles hangs on the stress
        stems.append(word + word[-1])
    return forms + [stem + ending for stem in stems for ending in ("ed", "ing", "in", "er", "ers")]


def _bundled(name: str) -> tuple[Phrase, ...]:
    text = (resources.files("openmmb.safety") / "data" / name).read_text(encoding="utf-8")
    return parse_phrases(text, source=name)


def _fill(pattern: str, names: dict[str, str], where: str) -> str:
    for name in _NAME.findall(pattern):
        if name not in names:
            hint = unknown("name", name, names)
            if not names:
                hint = f"no name {name!r}; expected a line @{name} before it"
            raise ConfigError(f"{where}: {hint}")
    filled = _NAME.sub(lambda match: names[match[1]], pattern)
    if len(filled) > LONGEST:
        raise ConfigError(f"{where}: {len(filled)} characters; expected at most {LONGEST}")
    return filled


def _phrase(category: str, pattern: str, where: str) -> Phrase:
    body = pattern.strip("*+=")
    slots = [_slot(item, where) for item in _items(body)]
    if all(() in slot for slot in slots):
        raise ConfigError(f"{where}: expected a word in {pattern!r}")
    if pattern.startswith("*") or pattern.endswith("*"):
        if len(slots) > 1 or any(len(words) != 1 for words in slots[0]):
            raise ConfigError(f"{where}: expected a single word with *, got {pattern!r}")
        return Phrase(category, tuple(slots), _position(pattern))
    if len(slots) > 1 and any(DENSE.search(word) for slot in slots for ws in slot for word in ws):
        raise ConfigError(
            f"{where}: {pattern!r} is in a script without spaces; expected an entry without spaces"
        )
    if not pattern.endswith("="):
        slots[-1] = _inflect_slot(slots[-1], verb=pattern.endswith("+"))
    return Phrase(category, tuple(slots))


def _items(pattern: str) -> list[str]:
    """Split at the spaces that no bracket encloses."""
    items = [""]
    depth = 0
    for character in pattern:
        depth += (character == "(") - (character == ")")
        if character == " " and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item for item in items if item]


def _slot(item: str, where: str) -> Slot:
    try:
        spellings = dict.fromkeys(islice(_expand(item), MOST_SPELLINGS + 1))
        if len(spellings) > MOST_SPELLINGS:
            raise ConfigError(f"more than {MOST_SPELLINGS} spellings of {shorten(item)!r}")
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    return frozenset(map(_words, spellings))


@cache  # names stand for the same words in line after line
def _words(spelling: str) -> tuple[str, ...]:
    return tuple(token.forms[0] for token in fold(spelling)[0])


def _expand(item: str) -> Iterator[str]:
    start, *options, end = _first_choice(item)
    if options:
        for option in options:
            yield from _expand(start + option + end)
    elif any(mark in item for mark in "(){}|"):
        raise ConfigError(f"unmatched bracket in {item!r}")
    elif _DISGUISE.search(item):
        raise ConfigError(
            f"a symbol for a letter in {item!r}; use plain letters, they match symbols too"
        )
    else:
        yield item


def _first_choice(item: str) -> list[str]:
    """Return what is before the first choice, its options, in which others may be, and the rest.

    Without a choice that ends, there are no options.
    """
    opening = item.find("(")
    depth, cuts = 0, [opening]
    for at in range(opening, len(item)) if opening >= 0 else ():
        depth += (item[at] == "(") - (item[at] == ")")
        if depth == 1 and item[at] == "|":
            cuts.append(at)
        if depth == 0:
            bounds = zip(cuts, [*cuts[1:], at], strict=True)
            return [item[:opening], *(item[a + 1 : b] for a, b in bounds), item[at + 1 :]]
    return [item, ""]


def _inflect_slot(slot: Slot, *, verb: bool) -> Slot:
    return frozenset(
        (*words[:-1], form)
        for words in slot
        for form in (inflect(words[-1], verb=verb) if words else ())
    ) | (slot & {()})


def _position(pattern: str) -> Literal["start", "end", "anywhere"]:
    if pattern.startswith("*") and pattern.endswith("*"):
        return "anywhere"
    return "end" if pattern.startswith("*") else "start"
