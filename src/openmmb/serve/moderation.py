"""The guard's verdicts in the form that OpenAI's protocol has for them."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from openmmb.safety.answers import reason
from openmmb.safety.verdict import Verdict

MODEL = "openmmb-guard"
"""What the guard is called as a model."""

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""The protocol's."""
NAMES = {
    "slur": "hate",
    "hate": "hate",
    "biased_opinion": "hate",
    "threat": "violence",
    "self_harm": "self-harm",
    "risk_ignorance": "self-harm",
    "sexual": "sexual",
    "sexual_minors": "sexual/minors",
    "minors": "sexual/minors",
    "drugs": "illicit",
    "danger": "illicit",
    "minor": "sexual/minors",
    "insult": "harassment",
    "profanity": "harassment",
    "offensive": "harassment",
    "offending_user": "harassment",
    "toxicity_agreement": "harassment",
}
"""Category of the guard -> the nearest of the protocol's. The guard's own stands beside it."""


def describe(verdict: Verdict | None) -> dict[str, Any] | None:
    """Return a verdict as our own fields have it: with its reason in words."""
    if verdict is None:
        return None
    return {**asdict(verdict), "reason": None if verdict.safe else reason(verdict)}


def result_of(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as one of ``/v1/moderations``."""
    scores = dict.fromkeys(CATEGORIES, 0.0)
    flags = dict.fromkeys(CATEGORIES, False)
    own = verdict.category
    for name in () if own is None else {own, NAMES.get(own, own)}:
        scores[name], flags[name] = verdict.score, not verdict.safe
    scores["unsafe"], flags["unsafe"] = verdict.score, not verdict.safe
    return {
        "flagged": not verdict.safe,
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": {name: ["text"] for name in scores},
    }


def moderations(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the response of ``/v1/moderations``."""
    results = [result_of(verdict) for verdict in verdicts]
    return {"id": f"modr-{uuid.uuid4().hex}", "model": MODEL, "results": results}


def side(verdict: Verdict | None, *, enabled: bool) -> dict[str, Any]:
    """Return one side of a completion's ``moderation``."""
    if not enabled:
        message = "this server runs without a guard"
        return {"type": "error", "code": "guard_off", "message": message}
    results = []
    if verdict is not None:
        results.append({**result_of(verdict), "type": "moderation_result", "model": MODEL})
    return {"type": "moderation_results", "model": MODEL, "results": results}
