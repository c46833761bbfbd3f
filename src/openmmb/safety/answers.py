"""Where a reply comes from, and what to say in place of what may not be said.

To a person: why their words were refused. For the bot: a change of subject, since a reply that
was held back must not leave a hole in the conversation.
"""

import random
from typing import Literal

from openmmb.safety.care import ASK_SOMEONE, CONDOLENCES, HELP_KINDS, Care
from openmmb.safety.verdict import CLASSIFIER, NUDITY, PHRASES, Verdict

Origin = Literal["model", "next_best", "changed_subject", "refused"]
"""Where a reply comes from: the likeliest of the model's; another of the model's, since the guard
refused what was likelier; the program, since the guard refused all of the model's; or the program,
since the guard refused the message."""

REASONS = {
    "slur": "a slur",
    "hate": "hate against a group of people",
    "threat": "a threat, or a wish that somebody comes to harm",
    "self_harm": "about harming oneself",
    "sexual": "sexual",
    "drugs": "about taking or getting drugs",
    "insult": "an insult",
    "profanity": "swearing",
    "minor": "about a child as no child should be spoken of",
    "frame": "something that I will not be",
    "danger": "a request for something dangerous",
    "offensive": "offensive",
    "unfit": "no fit answer to what was said",
    "offending_user": "unkind",
    "risk_ignorance": "careless about a danger",
    "unauthorized_expertise": "advice that only an expert should give",
    "toxicity_agreement": "agreement with something harmful",
    "biased_opinion": "prejudiced",
}
"""What each category of the lists and of the bundled classifier is called in conversation."""

HELP = Care().to_person("self_harm")
"""Answer to somebody who may harm themselves, where the country is not known."""

SUBJECTS = (
    "Let's talk about something else. What has been the best part of your week?",
    "Let's change the subject. Have you read or watched anything good lately?",
    "I would rather talk about something else. What do you like to do on a free day?",
    "How about another subject: if you could travel anywhere, where would you go?",
    "Let's move on. What kind of music do you enjoy?",
    "Let's talk about something nicer. What is your favorite meal to cook or to eat?",
    "I have lost my thread, so a new one: do you have any pets, or would you like some?",
    "Something else then: which season do you like best, and why?",
    "Let's start afresh. What is something new that you learned recently?",
    "Another question for you: are you more of a morning or an evening person?",
    "Let's turn to something else. Is there a hobby that you would like to take up?",
    "Here is a better subject: what place near you would you show to a visitor?",
)
"""Changes of subject, each fit to follow anything."""

OWN_LINES = frozenset(
    (
        *SUBJECTS,
        *CONDOLENCES,
        *(Care().to_person(kind) for kind in HELP_KINDS),
        *(Care().fill(line) for line in ASK_SOMEONE),
    )
)
"""What the program itself puts into the bot's mouth, where the country is not known."""

MAX_QUOTED = 3
"""Most of the refused words that are quoted back."""


def explain(verdict: Verdict) -> str:
    """Answer a person whose text was refused, in plain words.

    Raises:
        ValueError: The verdict is safe, so there is nothing to explain.
    """
    why = reason(verdict)
    if verdict.answer:
        return verdict.answer
    if help_text := Care().to_person(verdict.category):
        return help_text
    return f"I would rather not answer that: {why}. Could you put it another way?"


def reason(verdict: Verdict) -> str:
    """Say why a text was refused: ``"drat" is swearing``.

    Raises:
        ValueError: The verdict is safe, so there is no reason.
    """
    if verdict.safe:
        raise ValueError("reason: verdict is safe; only a refusal has a reason")
    kind = REASONS.get(verdict.category or "")
    if verdict.category == NUDITY:
        return f"it looks like nudity ({verdict.score:.0%})"
    if not verdict.words:
        if kind is None and verdict.check not in (CLASSIFIER, PHRASES):  # it may be about anything
            return f'the check "{_printable(verdict.check)}" refuses it'
        return f"it reads as {kind or 'offensive'} ({verdict.score:.0%})"
    words = [_printable(word) for word in dict.fromkeys(verdict.words)]
    quoted = ", ".join(f'"{word}"' for word in words[:MAX_QUOTED])
    kind = kind or "on the list of what I do not talk about"
    return f"{quoted} {'is' if len(words) == 1 else 'are'} {kind}"


def change_subject(seed: int, verdict: Verdict | None = None) -> str:
    """Pick what the bot says instead of a reply that was held back; one seed, one answer.

    Args:
        seed: Decides between changes of subject.
        verdict: On the reply that was held back; what it has to say goes first, since a change of
            subject does not fit where somebody is sad or in danger.
    """
    if verdict is not None and verdict.answer:
        return verdict.answer
    return random.Random(seed).choice(SUBJECTS)


def _printable(word: str) -> str:
    return "".join(c for c in " ".join(word.split()) if c.isprintable())
