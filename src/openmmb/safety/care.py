"""What is said where more is at stake than a refused text.

To somebody in danger, and instead of a reply that would be cheerful after sorrow. It says that a
program speaks, asks for a person near or the emergency number, and stays kind. Text and numbers can
be a deployment's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from openmmb.safety.verdict import Side, Verdict

LINES: Final[dict[str, tuple[str, str]]] = {
    "AT": ("112", "142"),
    "AU": ("000", "13 11 14"),
    "BR": ("192", "188"),
    "CA": ("911", "988"),
    "CH": ("112", "143"),
    "DE": ("112", "0800 111 0 111"),
    "ES": ("112", "024"),
    "FR": ("112", "3114"),
    "GB": ("999", "116 123"),
    "IE": ("112", "116 123"),
    "IN": ("112", "14416"),
    "NL": ("112", "113"),
    "NZ": ("111", "1737"),
    "US": ("911", "988"),
}
"""Emergency number and crisis line by country (ISO 3166-1), as published by their services."""
EMERGENCY: Final = "your local emergency number"
"""What stands for the emergency number where the country is not known."""
CRISIS: Final = "a crisis line near you"

SELF_HARM: Final = (
    "It sounds as if you may be going through something very hard, and I am only a program, so "
    "please do not stay alone with it: talk to someone you trust, to a doctor, or to {crisis}; "
    "if you are in danger right now, call {emergency}."
)
"""To somebody who may harm themselves."""
THREAT: Final = (
    "I am only a program, and this sounds as if somebody could get hurt. Please step back and talk "
    "to a person near you first; if anyone is in danger right now, call {emergency}."
)
"""To somebody who speaks of hurting others."""
MINOR: Final = (
    "I can't talk about that: I am only a program, and no child should be part of such a thing. "
    "If you are young and somebody treats you like that, it is not your fault; please tell an "
    "adult whom you trust, or call {emergency}. Whoever fears to harm a child can ask a doctor "
    "for help."
)
"""Where a child is spoken of, or speaks, as no child should be."""
DANGER: Final = (
    "Please be careful: somebody could get badly hurt there. I am only a program, so I can't help "
    "with that; ask a person who knows about it before you do anything, a doctor or a pharmacist "
    "for instance. If something has happened already, call {emergency}."
)
"""To somebody who asks for what endangers people."""
HELP_KINDS: Final = {
    "self_harm": SELF_HARM,
    "threat": THREAT,
    "minor": MINOR,
    "danger": DANGER,
}
"""Kinds of talk after which a person gets more than a refusal."""

ASK_SOMEONE: Final = (
    "I am only a program and could be wrong about that, so please ask somebody who knows, a doctor "
    "or a pharmacist for instance. If it is urgent, call {emergency}.",
    "That is nothing to decide on the word of a program. Please ask a doctor, or somebody else who "
    "knows about it; if it is urgent, call {emergency}.",
)
"""Instead of a reply that gives advice which only an expert should give."""
CONDOLENCES: Final = (
    "I am sorry, that sounds hard. I am only a program, but I am listening. Do you want to tell me "
    "more?",
    "That sounds difficult, and I am sorry. Is there somebody near you whom you can talk to?",
    "I am sorry that you have to go through this. Would you like to tell me more about it?",
)
"""Instead of a reply that does not fit what is sad or dangerous."""
CAREFUL: Final = frozenset({"unauthorized_expertise", "danger"})
"""Kinds of replies instead of which somebody is asked to ask an expert."""
TENDER: Final = frozenset({"risk_ignorance", "self_harm"})
"""Kinds of replies instead of which something kind is said, whatever was said before."""


@dataclass(frozen=True, slots=True)
class Care:
    """The answers of a deployment.

    Attributes:
        country: Country of its users (ISO 3166-1, two letters); empty: not known.
        text: Its own answer to somebody in danger; ``{emergency}`` and ``{crisis}`` stand for the
            numbers; empty: the bundled ones.
        numbers: Emergency number and crisis line by country, before those of ``LINES``.
    """

    country: str = ""
    text: str = ""
    numbers: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def to_person(self, category: str | None) -> str:
        """Return what somebody is told whose words were refused as ``category``; may be empty."""
        bundled = HELP_KINDS.get(category or "", "")
        return self.fill(self.text or bundled) if bundled else ""

    def instead(self, verdict: Verdict, context_length: int, *, sorrow: bool) -> str:
        """Return what the bot says instead of a refused reply; empty: it changes the subject.

        Args:
            verdict: On the reply.
            context_length: Number of turns before it, which decides between equals.
            sorrow: Whether what is answered tells of sorrow or danger.
        """
        if verdict.category in CAREFUL:
            return self.fill(ASK_SOMEONE[context_length % len(ASK_SOMEONE)])
        if sorrow or verdict.category in TENDER:
            return CONDOLENCES[context_length % len(CONDOLENCES)]
        return ""

    def answer(self, verdict: Verdict, side: Side, context_length: int, *, sorrow: bool) -> str:
        """Return what is said instead of a refused text of ``side``; may be empty."""
        if side == "bot":
            return self.instead(verdict, context_length, sorrow=sorrow)
        return self.to_person(verdict.category) if side == "person" else ""

    def fill(self, text: str) -> str:
        """Put the numbers of the country into a text."""
        known = {**LINES, **self.numbers}
        emergency, crisis = EMERGENCY, CRISIS
        if self.country in known:
            emergency = f"the emergency number, {known[self.country][0]}"
            crisis = f"a crisis line such as {known[self.country][1]}"
        return text.replace("{emergency}", emergency).replace("{crisis}", crisis)
