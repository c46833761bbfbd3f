"""Listed words that are harmless where they stand: names, and words with another meaning.

A name is told by what is around it ("Ms. X", "X Road", "my name is X"); another meaning by the
company that a word keeps (a hoe and a rake).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from openmmb.safety.fold import Token

COMPANY: Final = 12
"""How many words before and after a listed word keep it company."""
NAMES: Final = "@name"

_TITLE = (
    r"(?:mrs?|ms|miss|mx|dr|prof|professor|sgt|sergeant|cpl|corporal|capt|captain|lt|lieutenant|"
    r"col|colonel|gen|general|maj|major|sir|lady|lord|dame|rev|reverend|father|sister|brother|"
    r"uncle|aunt|auntie|coach|judge|justice|senator|president|officer|detective|nurse|chef|"
    r"saint|st|hon|madam|mister|principal|mayor|governor|admiral)"
)
_PLACE = (
    r"(?:road|rd|street|st|avenue|ave|lane|ln|drive|hotel|inn|motel|resort|park|hill|hills|castle|"
    r"church|chapel|bridge|river|lake|island|isle|square|school|college|university|hall|house|"
    r"station|county|city|town|village|farm|bay|beach|point|creek|valley|mountain|mount|peak|ridge|"
    r"family|furniture|hospital|library|museum|theatre|theater|court|close|way|crescent|terrace|"
    r"gardens|green|common|stadium|arena|texas|france|austria|germany|scotland|england|ohio)"
)
_GIVEN = r"(?:[A-Z][\w'.-]*\s+){0,2}$"
_TITLED = re.compile(rf"\b(?i:{_TITLE})\.?\s+{_GIVEN}")
_NAMED = re.compile(
    r"\b(?i:names?(?:\s+(?:is|was|are|were)|'s|:)|named|surnamed|surname|maiden name)\s+" + _GIVEN
)
_CALLED = re.compile(
    r"\b(?i:town|village|city|suburb|street|road|river|lake|hotel|county)\s+"
    r"(?i:of|called|named)\s+$"
)
_BEFORE_PLACE = re.compile(rf"^(?:'s)?\s+(?:[A-Z][\w'-]*\s+)?(?i:{_PLACE})\b")
_SAID_TO = re.compile(
    r"\b(?:you|ya|u|youre|you're|your|fucking|such)\s+(?:\w+\s+){0,2}$", re.IGNORECASE
)
_CLAUSE_ENDS = re.compile(r"\s*(?:[.!?,;]|$)")
NEAR: Final = 60
"""Characters that are looked at for what makes a word a name."""


@dataclass(frozen=True, slots=True)
class Homonyms:
    """What may be harmless, and where.

    Attributes:
        names: Words that may be names.
        company: Of each word with another meaning, what stands near it then.
    """

    names: frozenset[str]
    company: Mapping[str, re.Pattern[str]]

    def excuse(self, text: str, start: int, end: int, row: list[Token]) -> bool:
        """Say whether the listed word from ``start`` to ``end`` of ``text`` is harmless there."""
        word = text[start:end].lower().removesuffix("'s")
        if word in self.names and _is_name(text, start, end):
            return True
        company = self.company.get(word)
        if company is None:
            return False
        if _SAID_TO.search(text[max(0, start - NEAR) : start]) and _CLAUSE_ENDS.match(text, end):
            return False  # "get off my donkey, you stubborn ass"
        near = [token for token in row if token.end <= start][-COMPANY:]
        near += [token for token in row if token.start >= end][:COMPANY]
        return any(company.fullmatch(form) for token in near for form in token.forms)


@cache
def bundled_homonyms() -> Homonyms:
    """Read those that come with the package."""
    path = resources.files("openmmb.safety") / "data" / "homonyms.txt"
    return parse_homonyms(path.read_text(encoding="utf-8").splitlines())


def parse_homonyms(lines: Iterable[str]) -> Homonyms:
    """Read lines as ``data/homonyms.txt`` describes them."""
    names: set[str] = set()
    company: dict[str, re.Pattern[str]] = {}
    for line in lines:
        if not line or line.startswith("#"):
            continue
        left, _, right = line.partition("\t")
        if left == NAMES:
            names.update(right.split())
        elif right.split():
            near = "|".join(re.escape(w).replace(r"\*", r"\w*") for w in right.split())
            company.update(dict.fromkeys(left.split(), re.compile(near)))
    return Homonyms(frozenset(names), company)


def _is_name(text: str, start: int, end: int) -> bool:
    """Say whether a name stands here: after a title or "my name is", or before "Road"."""
    before = text[max(0, start - NEAR) : start]
    if _TITLED.search(before) or _NAMED.search(before):
        return True
    capital = text[start].isupper() and not text[start:end].isupper()
    after = text[end : end + NEAR]
    return capital and bool(_CALLED.search(before) or _BEFORE_PLACE.search(after))
