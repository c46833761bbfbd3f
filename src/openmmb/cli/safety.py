"""What the guard says of a text: ``openmmb safety``; and the flags of the guard, for all commands.

Nothing of this imports PyTorch unless a classifier is asked.
"""

import json as json_format
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction, arg

from openmmb.cli.flags import Lines, Switch
from openmmb.errors import ConfigError
from openmmb.text.printable import printable

if TYPE_CHECKING:
    from openmmb.safety.guard import GuardConfig
    from openmmb.safety.verdict import Verdict

STDIN = "-"
"""Reads what to judge from standard input, a text a line."""

# Once a file: a flag that takes several would take the arguments behind it too.
Files = Annotated[tuple[Path, ...], UseAppendAction, arg(metavar="FILE", help_behavior_hint="")]
Share = Annotated[float | None, arg(metavar="0..1", help_behavior_hint="")]
Folder = Annotated[str | None, arg(metavar="FOLDER|none", help_behavior_hint="")]
PictureMode = Literal["off", "installed", "on"]
Pictures = Annotated[PictureMode | None, arg(help_behavior_hint="")]
Country = Annotated[str | None, arg(metavar="COUNTRY", help_behavior_hint="")]


@dataclass(frozen=True)
class GuardFlags:
    """What the guard refuses."""

    guard_words: Files = ()
    """One more list of phrases to refuse, one on each line; once for each file."""
    guard_allow: Files = ()
    """One more list of phrases that pass although they contain a listed one; once for each file."""
    guard_threshold: Share = None
    """Refuse listed phrases that score at least this: 0.5 all, 0.65 all but swearing."""
    classifier: Folder = None
    """Folder or bundled name of the classifier that is asked after the lists, or none."""
    classifier_threshold: Share = None
    """Probability of being unsafe from which a text is refused; by default as its folder says."""

    guard_pictures: Pictures = None
    """Judge pictures that a person shows: off, installed (where the extra picture-guard is), on."""
    guard_country: Country = None
    """Country whose emergency number and crisis line somebody in danger is told: US, GB, ..."""

    def config(self, *, enabled: bool = True, pictures: PictureMode = "off") -> "GuardConfig":
        """Return the settings of the guard.

        Args:
            enabled: Whether anything is checked.
            pictures: Whether pictures are judged where the flag does not say.

        Raises:
            ConfigError: A threshold is not from 0 to 1.
        """
        from openmmb.config import parse
        from openmmb.safety.guard import GuardConfig

        given = {
            "enabled": enabled,
            "phrase_files": self.guard_words,
            "allow_files": self.guard_allow,
            "threshold": self.guard_threshold,
            "classifier": self.classifier,
            "classifier_threshold": self.classifier_threshold,
            "pictures": self.guard_pictures or pictures,
            "country": self.guard_country,
        }
        known = {name: value for name, value in given.items() if value is not None}
        return parse(GuardConfig, known, source="guard")


GuardArg = Annotated[GuardFlags, OmitArgPrefixes]
DEFAULT_GUARD = GuardFlags()


def safety(
    text: Annotated[Positional[str], arg(metavar="TEXT|-")],
    *,
    context: Lines = (),
    side: Literal["person", "bot", "frame"] = "person",
    guard: GuardArg = DEFAULT_GUARD,
    json: Switch = False,
) -> None:
    """Judge a text as the guard of a chat does, and say why.

    Exit code 0: all texts are safe; 1: one is not; 2: an error.

    Args:
        text: Text to judge; - judges each line of standard input.
        context: A turn before it, oldest first; once for each turn.
        side: Who would say it: a person, the bot, or nobody, where it is a style or a line of a
            persona.
        guard: What the guard refuses.
        json: Print one object for each text.
    """
    from openmmb.safety.guard import open_guard
    from openmmb.text.normalize import tidy

    opened = open_guard(guard.config())
    before = tuple(map(tidy, context))
    unsafe = False
    judged_any = False
    for line in _lines(text):
        judged_any = True
        judged = tidy(line)
        verdicts = opened.ask_all(judged, before, side=side)
        refused = [verdict for verdict in verdicts if not verdict.safe]
        unsafe = unsafe or bool(refused)
        shown = _as_json(judged, verdicts) if json else _as_text(judged, verdicts)
        print(shown, flush=True)
    if not judged_any:
        raise ConfigError("-: standard input is empty; expected a text a line")
    if unsafe:
        raise SystemExit(1)


def _lines(text: str) -> Iterator[str]:
    if text != STDIN:
        yield text
    elif sys.stdin is not None:
        yield from (line for line in sys.stdin if line.strip())


def _as_json(text: str, verdicts: tuple["Verdict", ...]) -> str:
    safe = all(verdict.safe for verdict in verdicts)
    row = {"text": text, "safe": safe, "verdicts": [asdict(verdict) for verdict in verdicts]}
    return json_format.dumps(row, ensure_ascii=False)


def _as_text(text: str, verdicts: tuple["Verdict", ...]) -> str:
    from openmmb.safety.answers import reason

    why = [reason(verdict) for verdict in verdicts if not verdict.safe]
    lines = [f"{'unsafe' if why else 'safe'}: {text}", *(f"  because {line}" for line in why)]
    return printable("\n".join([*lines, *map(_as_line, verdicts)]))


def _as_line(verdict: "Verdict") -> str:
    limit = "" if verdict.threshold is None else f", refuses from {verdict.threshold:.2f}"
    category = f", {verdict.category}" if verdict.category else ""
    words = ": " + ", ".join(f'"{word}"' for word in verdict.words) if verdict.words else ""
    return f"  {verdict.check}: score {verdict.score:.2f}{limit}{category}{words}"
