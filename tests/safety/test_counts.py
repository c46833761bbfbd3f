"""Counts of a chat say what was judged, what was refused and by whom, and what came instead."""

from openmmb.safety.answers import Origin
from openmmb.safety.counts import Counts, Tally
from openmmb.safety.verdict import Verdict

SAFE = Verdict(safe=True, score=0.1, check="words")
SWEARING = Verdict(safe=False, score=0.6, check="words", category="profanity")
UNKIND = Verdict(safe=False, score=0.9, check="classifier")
CAME_INSTEAD: tuple[Origin, ...] = ("next_best", "changed_subject", "changed_subject")


def test_what_was_not_judged_is_not_counted() -> None:
    assert Tally().add(None) == Tally()
    assert Counts().add(message=None, reply=SAFE, origin="model") == Counts(replies=Tally(1))


def test_refusals_are_counted_by_check() -> None:
    tally = Tally().add(SAFE).add(SWEARING).add(UNKIND).add(SWEARING)
    assert tally == Tally(4, {"words": 2, "classifier": 1})
    assert str(tally) == "4 judged, 3 refused (words 2, classifier 1)"
    assert str(Tally().add(SAFE)) == "1 judged, 0 refused"


def test_counts_are_values() -> None:
    before = Counts().add(message=SWEARING, reply=None, origin="refused")
    after = before.add(message=SWEARING, reply=None, origin="refused")
    assert before.messages == Tally(1, {"words": 1})
    assert after.messages == Tally(2, {"words": 2})


def test_a_reply_that_was_held_back_counts_by_what_came_instead() -> None:
    counts = Counts()
    for origin in CAME_INSTEAD:
        counts = counts.add(message=SAFE, reply=UNKIND, origin=origin)
    counts = counts.add(message=UNKIND, reply=None, origin="refused")
    assert (counts.next_best, counts.changed) == (1, 2)
    assert str(counts) == (
        "your messages: 4 judged, 1 refused (classifier 1)\n"
        "the bot's replies: 3 judged, 3 refused (classifier 3); 1 replaced by the next best, "
        "2 by another subject"
    )
    assert str(Counts()).endswith("the bot's replies: 0 judged, 0 refused")
