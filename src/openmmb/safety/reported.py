"""What others said, and what is denied: no words of the person who tells of them."""

import re
from typing import Final

NEAR: Final = 80
"""Characters before a phrase that are looked at."""
OWN_WORDS: Final = frozenset({"self_harm", "sexual", "minor", "drugs", "danger"})
"""Categories that count whoever said it first."""

_NOT_I = "".join(rf"(?<!\b{own} )" for own in ("i", "we", "i just", "i even", "i've", "i have"))
_WHOM = r"(?:me|us|him|her|them|(?:my|our|his|her|their|the|a) \w+(?: \w+)?)"
_KIND = r"(?:(?:a|an|the|such|just|so|fat|dumb|stupid|dirty|filthy|little|ugly) ){0,3}"
_REPORT = (
    rf"{_NOT_I}\b(?:calls|called|calling|(?:they|people|kids|boys|girls|some) call) "
    rf"{_WHOM} {_KIND}\W?"
    rf"|\b(?:was|were|been|being|got|get) called {_KIND}\W?"
    rf"|{_NOT_I}\b(?:told|tells|telling) {_WHOM},?(?: that| to)? \W?"
)
_SAYING = (
    rf"{_NOT_I}\b(?:said|says|yelled|shouted|screamed|wrote|claims|claimed)"
    rf"(?: (?:at|to) {_WHOM})?,?(?: that)? \W?"
    r"|\b(?:never said|(?:didn'?t|did not) say|(?:don'?t|do not) (?:think|believe))(?: that)? \W?"
    r"|\b(?:people|those|anyone|anybody|someone|somebody|men|women) who "
    r"(?:say|says|think|thinks|claim|claims|believe|believes)(?: that)? \W?"
    r"|\b(?:wrong|false|untrue|not true|a lie) to (?:say|think|claim|believe)(?: that)? "
    r"(?:all |the |every |most )?\W?"
)
_DENIAL = (
    r"\b(?:don'?t|do not|never|didn'?t|did not|wouldn'?t|would not|must ?n[o']t|should ?n[o']t|"
    r"(?:nobody|no one) should) (?:ever |really )?(?:hate|kill|hurt|burn|shoot|hang) "
)
_TO_YOU = re.compile(r"(?:you|u|ya|your|ur)\b", re.IGNORECASE)
_REPORTED = re.compile(rf"(?:{_REPORT})$", re.IGNORECASE)
_SAID = re.compile(rf"(?:{_SAYING})$", re.IGNORECASE)
_CLAUSE = re.compile(
    rf"(?:{_REPORT}|(?:{_SAYING})(?!{_TO_YOU.pattern}))"
    r"[^,.;!?\n]*?(?=[,.;!?\n]|\b(?:and|but|so|because|then)\b|$)"
    rf"|{_DENIAL}[^,.;!?\n]*?(?=[.!?\n]|\b(?:and|but|because)\b|$)",
    re.IGNORECASE,
)


def is_reported(text: str, start: int, category: str) -> bool:
    """Say whether the listed phrase from ``start`` on is told as what somebody else said.

    What a person says themselves is not ("I called him ..."), nor what is handed on to whoever
    listens ("he says you are ...").
    """
    if category in OWN_WORDS:
        return False
    before = text[max(0, start - NEAR) : start]
    if _REPORTED.search(before):
        return True
    return _SAID.search(before) is not None and not _TO_YOU.match(text, start)


def without_reported(text: str) -> str:
    """Return a text without the clauses that tell what others said, or deny hate and harm."""
    return _CLAUSE.sub(" ", text)
