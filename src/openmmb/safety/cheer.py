"""Wordings that decide where a classifier alone is not sure: cheer, and what is over or not so."""

import re

_CHEER = re.compile(
    r"(?:(?:oh|wow|well|yes|yeah|ok|okay|aww?)\W+)*"
    r"(?:good for you|congrat\w*|how (?:nice|fun|lovely|cool|exciting)|well done|"
    r"(?:that'?s|that is|that sounds|sounds) (?:so |really |very |like )?(?:a lot of |a |an )?"
    r"(?:great|awesome|wonderful|amazing|good idea|fun|cool|nice|fantastic|lovely|exciting|funny)|"
    r"haha\w*|yay|hooray|awesome|let'?s celebrate|i hope you have (?:a good|fun|a great))\b",
    re.IGNORECASE,
)
_HARM = (
    r"(?:die|dying|be dead|suicidal|(?:kill|hurt|harm|cut)(?:ed|ing|ting)? myself|"
    r"end it(?: all)?|end my life)"
)
_NOT_SO = re.compile(
    r"\b(?:don'?t|never|didn'?t|no longer|not|wouldn'?t|won'?t|haven'?t|hadn'?t)(?: \w+){0,2}? "
    rf"(?:(?:want(?:ed)? to|wanna|going to|gonna|plan(?:ning)? to|think(?:ing)? of) )?{_HARM}\b"
    rf"|\bused to (?:be |feel )?(?:cut|harm|hurt|starve|{_HARM})\b"
    rf"|\b(?:stopped|quit) (?:{_HARM}|starving|self.?harm\w*)\b"
    r"|\bsurvived (?:\w+ ){0,2}?(?:suicide(?: attempt)?|attempt)\b",
    re.IGNORECASE,
)


def is_cheerful(reply: str) -> bool:
    """Say whether a reply begins with cheer, as no reply to sorrow or danger should."""
    return _CHEER.match(reply.lstrip()) is not None


def without_not_so(text: str) -> str:
    """Return a text without what it says of harm to oneself that is not wanted, or is over."""
    return _NOT_SO.sub(" ", text)
