"""How much the guard judged in a chat, and how much it refused, by side and by check."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
        heard: Of what the person said.
        said: Of what the model would have said first.
        next_best: How often another reply of the model's took the place of that.
        changed: How often the subject was changed instead, since the model had no safe reply.
    """

    heard: Tally = Tally()
    said: Tally = Tally()
    next_best: int = 0
    changed: int = 0

    def add(self, *, heard: Verdict | None, said: Verdict | None, tokens: int) -> "Counts":
        """Return the counts with one reply more.

        Args:
            heard: On the person's message; None where there was none.
            said: On the model's likeliest reply; None where it did not get to reply.
            tokens: Length of the model's reply that was shown; 0 where none was.
        """
        held_back = said is not None and not said.safe
        return replace(
            self,
            heard=self.heard.add(heard),
            said=self.said.add(said),
            next_best=self.next_best + int(held_back and tokens > 0),
            changed=self.changed + int(held_back and tokens == 0),
        )

    def __str__(self) -> str:
        """Return them for people, a line a side."""
        replaced = (
            f"; {self.next_best} replaced by the next best, {self.changed} by another subject"
        )
        shown = replaced if self.said.refused else ""
        return f"your messages: {self.heard}\nthe bot's replies: {self.said}{shown}"
