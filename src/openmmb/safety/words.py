"""Finds listed phrases in a text, through the disguises that ``fold`` undoes.

A graph of words finds phrases of any length in one walk; one regular expression finds pieces
inside words. What an allowed phrase touches does not count ("Scunthorpe", "I'll shoot you a text").
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from openmmb.safety.approval import approves_danger
from openmmb.safety.fold import DENSE, Token, fold
from openmmb.safety.homonyms import Homonyms
from openmmb.safety.lists import Phrase, Slot
from openmmb.safety.reported import is_reported
from openmmb.safety.verdict import PHRASES, Side, Utterance, Verdict

SEVERITY = {
    "slur": 1.0,
    "hate": 1.0,
    "threat": 1.0,
    "self_harm": 1.0,
    "minor": 1.0,
    "sexual": 0.9,
    "drugs": 0.8,
    "insult": 0.7,
    "profanity": 0.6,
}
"""Score of a match by its category; a category of somebody's own list scores 1."""

MASKED_LETTERS = 4
"""A lone star in a word hides one to this many letters; several hide as many as they are."""


_STARS = re.compile(r"\*+")
_SENTENCE_END = re.compile(r"[.!?;:]\s|\n")


@dataclass(frozen=True, slots=True)
class Match:
    """A listed phrase in a text, from character ``start`` to ``end`` (exclusive)."""

    start: int
    end: int
    category: str


@dataclass(slots=True)
class _Node:
    """Where a walk through the phrases stands: the words that lead on, and what ends here."""

    following: dict[str, list["_Node"]] = field(default_factory=dict)
    category: str | None = None


class PhraseMatcher:
    """Finds ``phrases`` in texts, except where one of ``allowed`` touches them.

    Args:
        phrases: What to find.
        allowed: Harmless phrases that look like those.
        homonyms: Single words that are harmless as names, or beside certain other words.
    """

    def __init__(
        self,
        phrases: Iterable[Phrase],
        allowed: Iterable[Phrase] = (),
        homonyms: Homonyms | None = None,
    ) -> None:
        self._homonyms = homonyms
        self._find = _Finder(phrases, disguised=True)
        self._allow = _Finder(allowed, disguised=False)

    def find(self, text: str) -> tuple[Match, ...]:
        """List the matches in the order of the text; the longest where several overlap."""
        rows = fold(text)
        matches = {match for row in rows for match in self._find.matches(row, text)}
        if not matches:
            return ()
        excused = [match for row in rows for match in self._allow.matches(row, text)]
        kept = [
            match
            for match in matches
            if not any(e.start < match.end and match.start < e.end for e in excused)
        ]
        return tuple(
            match
            for match in _longest(kept)
            if self._homonyms is None
            or not self._homonyms.excuse(text, match.start, match.end, rows[0])
        )


APPROVAL = Verdict(safe=False, score=1.0, check=PHRASES, category="unauthorized_expertise")
"""On a reply that approves of danger."""


@dataclass(frozen=True, slots=True)
class PhraseCheck:
    """A check that lets no listed phrase pass.

    Attributes:
        matcher: Finds them.
        threshold: Matches that score less are let pass.
        frames: Finds what styles and personas may not make of the bot.
    """

    matcher: PhraseMatcher
    threshold: float = 0.5
    frames: PhraseMatcher | None = None

    def __call__(self, text: str, context: Sequence[str]) -> Verdict:  # noqa: ARG002
        """Judge ``text`` by its own words; what was said before plays no part."""
        return self.judge_side([(text, ())], "person")[0]

    def judge_side(self, utterances: Sequence[Utterance], side: Side) -> list[Verdict]:
        """Judge texts by their own words; styles and personas by what they make of the bot too.

        A person may tell of what others said, and no reply approves of danger.
        """
        frames = self.frames if side == "frame" else None
        verdicts = []
        for text, context in utterances:
            if side == "bot" and approves_danger(text, context):
                verdicts.append(replace(APPROVAL, threshold=self.threshold))
                continue
            matches = self.matcher.find(text)
            if side == "person":
                matches = tuple(m for m in matches if not is_reported(text, m.start, m.category))
            if frames is not None:
                matches += frames.find(text)
            verdicts.append(self._judge(text, matches))
        return verdicts

    def _judge(self, text: str, matches: Sequence[Match]) -> Verdict:
        if not matches:
            return Verdict(safe=True, check=PHRASES, threshold=self.threshold)
        worst = max(matches, key=lambda match: _severity(match.category))
        score = _severity(worst.category)
        return Verdict(
            safe=score < self.threshold,
            score=score,
            check=PHRASES,
            category=worst.category,
            words=tuple(text[match.start : match.end] for match in matches),
            threshold=self.threshold,
        )


class _Finder:
    """One list, compiled.

    Args:
        phrases: The list.
        disguised: Whether masked and split spellings of single words count too.
    """

    def __init__(self, phrases: Iterable[Phrase], *, disguised: bool) -> None:
        self._root = _Node()
        self._pieces: list[str] = []
        patterns: dict[str, str] = {}
        singles: dict[str, str] = {}
        for phrase in phrases:
            if phrase.inside is not None:
                for (piece,) in sorted(phrase.slots[0]):
                    self._pieces.append(piece)
                    patterns.setdefault(_piece_pattern(piece, phrase.inside), phrase.category)
            elif len(phrase.slots) == 1:
                for words in sorted(phrase.slots[0]):
                    if words and DENSE.search(words[0]):  # its script has no spaces to tell words
                        self._pieces.append(words[0])
                        patterns.setdefault(re.escape(words[0]), phrase.category)
            self._add(phrase.slots, phrase.category)
            if len(phrase.slots) == 1:
                short = sorted(words[0] for words in phrase.slots[0] if len(words) == 1)
                singles.update(dict.fromkeys(short, phrase.category))
        self._piece = re.compile("|".join(f"({pattern})" for pattern in patterns) or r"(?!)")
        self._piece_categories = tuple(patterns.values())
        self._singles = singles if disguised else {}
        self._single_lines = "\n" + "\n".join(self._singles) + "\n"
        for word, category in self._singles.items():
            for parts in _split(word):
                self._add((frozenset({parts}),), category)

    def matches(self, row: list[Token], text: str) -> Iterator[Match]:
        """Find the list's phrases in one row of the tokens of ``text``."""
        first = self._root.following
        for index, token in enumerate(row):
            for form in token.forms:
                if form in first:
                    yield from self._walk(first[form], row, index, text)
                if "*" in form:
                    yield from self._unmask(form, token)
        yield from self._inside(row)

    def _walk(
        self, reached: list[_Node], row: list[Token], start: int, text: str
    ) -> Iterator[Match]:
        """Follow the phrases on from the nodes that the token at ``start`` reached."""
        for index in range(start, len(row)):
            token = row[index]
            if index > start:
                # A phrase does not go on into the next sentence: "Nobody asked. You saw it too."
                if _SENTENCE_END.search(text, row[index - 1].end, token.start):
                    return
                reached = [
                    further
                    for node in reached
                    for form in token.forms
                    if form in node.following
                    for further in node.following[form]
                ]
            if not reached:
                return
            for node in reached:
                if node.category is not None:
                    yield Match(row[start].start, token.end, node.category)

    def _unmask(self, form: str, token: Token) -> Iterator[Match]:
        """Find a single word that fits a masked one; the first of the list if several do."""
        shown = _STARS.split(form)
        if sum(map(len, shown)) < 2 and len(form) < 4:
            return  # too little is shown to tell
        hidden = [f"[a-z]{{{_hidden_letters(len(stars))}}}" for stars in _STARS.findall(form)]
        parts = zip(map(re.escape, shown), [*hidden, ""], strict=True)
        match = re.search("\n(" + "".join(map("".join, parts)) + ")\n", self._single_lines)
        if match:
            yield Match(token.start, token.end, self._singles[match[1]])

    def _inside(self, row: list[Token]) -> Iterator[Match]:
        forms = " ".join([form for token in row for form in token.forms])
        if not any(piece in forms for piece in self._pieces):  # far faster than the expression
            return
        for token in row:
            for form in token.forms:
                match = self._piece.search(form)
                if match and match.lastindex:
                    category = self._piece_categories[match.lastindex - 1]
                    yield Match(token.start, token.end, category)

    def _add(self, slots: Sequence[Slot], category: str) -> None:
        """Grow the graph; the paths through one slot branch and meet again behind it."""
        reached = [self._root]
        for slot in slots:
            behind = _Node()
            for words in slot:
                _link(reached, words, behind)
            reached = [*reached, behind] if () in slot else [behind]
        for node in reached:
            node.category = category


def _link(sources: list[_Node], words: tuple[str, ...], target: _Node) -> None:
    """Lead from each of ``sources`` over ``words`` to ``target``."""
    for count, word in enumerate(words, start=1):
        node = target if count == len(words) else _Node()
        for source in sources:
            source.following.setdefault(word, []).append(node)
        sources = [node]


def _piece_pattern(piece: str, position: Literal["start", "end", "anywhere"]) -> str:
    match position:
        case "start":
            return rf"\b{piece}"
        case "end":
            return rf"{piece}\b"
        case "anywhere":
            return piece


def _hidden_letters(stars: int) -> str:
    return f"1,{MASKED_LETTERS}" if stars == 1 else str(stars)


def _split(word: str) -> Iterator[tuple[str, str]]:
    """Cut a word in two where one half can be no word, since it has no vowel.

    A single s, t, d or m is left alone: it is what remains of a contraction.
    """
    if len(word) < 4 or not word.isalpha():
        return
    for cut in range(1, len(word)):
        halves = (word[:cut], word[cut:])
        if any(not set(half) & set("aeiouy") and half not in "stdm" for half in halves):
            yield halves


def _severity(category: str) -> float:
    return SEVERITY.get(category, 1.0)


def _longest(matches: list[Match]) -> Iterator[Match]:
    end = -1
    for match in sorted(matches, key=lambda m: (m.start, -m.end, -_severity(m.category))):
        if match.start >= end:
            yield match
            end = match.end
