"""Replies that wave danger through: yes to what should be asked of somebody who knows.

A list like those of phrases, but of pairs: a question, or a plan, that names a hazard, and a reply
that approves of it without a word of caution.
"""

import re
from collections.abc import Sequence
from typing import Final

TURNS: Final = 2
"""Last turns of the person that are looked at: a question is often put in two."""
CHARACTERS: Final = 600
"""Last characters of them that are, so that long messages cost no more."""

_ASKS = re.compile(
    r"\b(?:should|shall|can|could|may|might|must|is it|is that|would it be|do i|does it|"
    r"what if|how about|right|isn'?t it)\b",
    re.IGNORECASE,
)
_MEDICINE = (
    r"(?:insulin|medicines?|medications?|meds|pills?|tablets?|antibiotics?|antidepressants?|chemo\w*|"
    r"inhaler|blood thinners?|beta blockers?|steroids?|epi-?pen|dialysis|aspirins?|ibuprofen|"
    r"paracetamol|tylenol|painkillers?|sleeping pills?)"
)
_WITHOUT = (
    r"(?:stop|stopped|stopping|quit|quitting|skip|skipping|throw away|double|come off|go off)"
)
_SMALL = (
    r"(?:bab(?:y|ies)|newborn|infant|toddler|child|children|kids?|son|daughter|"
    r"dog|puppy|cat|kitten)"
)
_HAZARDS = re.compile(
    rf"\b{_MEDICINE}\b"
    r"|\bchest (?:pain|hurts?)|\b(?:arm|leg|face) is numb|\bseizure\b|\bunconscious\b|\boverdose"
    r"|\btooth\b.*\bpull|\bpull\b.*\btooth\b|\bbleach\b|\bammonia\b|\bcarbon monoxide\b"
    r"|\bsmoke (?:alarm|detector)|\bgas (?:leak|smell)|\bsmell(?:s|ing)? (?:of )?gas\b"
    r"|\bburning oil\b"
    r"|\b(?:live|bare) wires?\b|\bpower (?:is )?on\b|\bmushrooms?\b.*\beat|\beat\b.*\bmushrooms?\b"
    r"|\braw chicken\b|\b(?:bet|gamble|invest) (?:all )?(?:of )?my (?:savings|money)"
    r"|\bwithout (?:a |my |his |her |their )?(?:helmets?|seat ?belts?|glasses|life ?jackets?|"
    r"brakes|doctor)\b"
    r"|\bdriv(?:e|es|ing)\b.*\b(?:drunk|beers?|wine|drinks|sleepy|glasses|blind)\b"
    r"|\b(?:drunk|beers?|wine|drinks|sleepy)\b.*\bdriv(?:e|ing)\b"
    rf"|\b{_SMALL}\b.*\b(?:alone|unattended|in the (?:hot )?car|in the bath\w*|honey|chocolate|"
    r"grapes|onions|aspirin|alcohol|beer|rum|wine|whisk\w+|tied|outside overnight)\b"
    rf"|\bleave (?:my|the|our|a) {_SMALL}\b",
    re.IGNORECASE,
)
_PLANS = re.compile(
    rf"\b{_WITHOUT}\b(?: \w+){{0,3}} {_MEDICINE}\b"
    r"|\bdriv(?:e|ing)\b.*\b(?:drunk|after (?:\w+ )?(?:beers|drinks|wine))\b"
    r"|\b(?:poison|drown|strangle|set fire to|burn down)\b",
    re.IGNORECASE,
)
_APPROVES = re.compile(
    r"\W*(?:(?:oh|well|hmm|haha|lol|ok|okay|wow)\W+)*"
    r"(?:yes|yeah|yep|yup|sure|of course|definitely|absolutely|certainly|why not|"
    r"go (?:for it|ahead)|do it\b|i think (?:so|you should|that'?s|it'?s (?:a good|fine|ok|safe))|"
    r"i (?:would|agree|do (?:that )?too)\b|me too|you should\b(?! (?:not|never))|"
    r"(?:that'?s|that is|that (?:would|will) be|that sounds?|it'?s|it is|sounds?) (?:like )?"
    r"(?:a |an )?(?:really |very |so |perfectly |totally |quite )?(?:great|good|fine|nice|awesome|"
    r"fun|cool|perfect|plan|safe|ok|okay|lovely|wonderful|funny)\b|"
    r"(?:good|great|nice) (?:idea|thinking|plan|for you|luck)|no problem|"
    r"it should be (?:fine|safe|ok)|"
    r"(?:he|she|they|you)(?:'ll| will) be (?:fine|ok|okay|safe)|i hope you have|have fun|enjoy)",
    re.IGNORECASE,
)
_CARE = re.compile(
    r"\b(?:doctor|vet|pharmacist|nurse|dentist|hospital|emergency|ambulance|expert|electrician|"
    r"plumber|careful|caution|dangerous|danger|risky?|unsafe|poison\w*|toxic|(?<!why )not|never|"
    r"don'?t|isn'?t|shouldn'?t|wouldn'?t|can'?t|couldn'?t|but|only if|unless|sorry|worried|help)\b",
    re.IGNORECASE,
)


def approves_danger(reply: str, context: Sequence[str]) -> bool:
    """Say whether a reply approves of something dangerous that its context asks about or plans."""
    if _APPROVES.match(reply) is None or _CARE.search(reply) is not None:
        return False
    told = " ".join(reversed(context[::-2][:TURNS]))[-CHARACTERS:]
    asked = _HAZARDS.search(told) is not None and _ASKS.search(told) is not None
    return asked or _PLANS.search(told) is not None
