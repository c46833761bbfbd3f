"""How much the guard judged in a chat, and how much it refused, by side and by check."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from openmmb.safety.answers import Origin
from openmmb.safety.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Tally:
    """The verdicts on one side.

    Attributes:
        judged: How many texts.
        refused: How many of them each check refused; a check that refused none is not in it.
    """

    judged: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)

    def add(self, verdict: Verdict | None) -> "Tally":
        """Return the tally with one verdict more, or itself where nothing was judged."""
        if verdict is None:
            return self
        refused = dict(self.refused)
        if not verdict.safe:
            refused[verdict.check] = refused.get(verdict.check, 0) + 1
        return Tally(self.judged + 1, refused)

    def __str__(self) -> str:
        """Return it for people: ``4 judged, 1 refused (words 1)``."""
        total = sum(self.refused.values())
        by_check = ", ".join(f"{check} {count}" for check, count in self.refused.items())
        return f"{self.judged} judged, {total} refused" + (f" ({by_check})" if total else "")


@dataclass(frozen=True, slots=True)
class Counts:
    """The verdicts of a chat; each reply makes a new one.

    Attributes:
        messages: On the person's messages.
        replies: On the model's likeliest replies.
        next_best: How often another reply of the model's took the place of a refused one.
        changed: How often the subject was changed instead, since the model had no safe reply.
    """

    messages: Tally = Tally()
    replies: Tally = Tally()
    next_best: int = 0
    changed: int = 0

    def add(self, *, message: Verdict | None, reply: Verdict | None, origin: Origin) -> "Counts":
        """Return the counts with one reply more.

        Args:
            message: On the person's message; None where there was none.
            reply: On the model's likeliest reply; None where the message was refused.
            origin: Where the reply that was shown comes from.
        """
        refused = reply is not None and not reply.safe
        return replace(
            self,
            messages=self.messages.add(message),
            replies=self.replies.add(reply),
            next_best=self.next_best + int(refused and origin == "next_best"),
            changed=self.changed + int(refused and origin == "changed_subject"),
        )

    def __str__(self) -> str:
        """Return them for people, a line a side."""
        replaced = (
            f"; {self.next_best} replaced by the next best, {self.changed} by another subject"
        )
        shown = replaced if self.replies.refused else ""
        return f"your messages: {self.messages}\nthe bot's replies: {self.replies}{shown}"
