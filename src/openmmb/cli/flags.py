"""What the commands share: flags, and words to the user."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from openmmb.errors import ConfigError
from openmmb.text.printable import printable

BUNDLED = Path("tiny")

CheckpointArg = Annotated[Positional[Path], arg(metavar="[CHECKPOINT]", help_behavior_hint="")]
PathOrNone = Annotated[Path | None, arg(metavar="PATH", help_behavior_hint="")]
Words = Annotated[str | None, arg(metavar="WORDS", help_behavior_hint="")]
# Once a line: a flag that takes several words would take the checkpoint behind them too.
Lines = Annotated[tuple[str, ...], UseAppendAction, arg(metavar="LINE", help_behavior_hint="")]
Switch = Annotated[bool, arg(help_behavior_hint="")]
Gender = Literal["checkpoint", "f0m0", "f0m1", "f1m0", "f1m1", "none"]
Device = Literal["auto", "cpu", "cuda"]


def require_one(flag: str, value: int) -> None:
    """Refuse a count below 1.

    Raises:
        ConfigError: ``value`` is one.
    """
    if value < 1:
        raise ConfigError(f"{flag}: must be at least 1, got {value}")


def complain(text: str) -> None:
    """Say one line on standard error, with nothing in it that would steer the terminal."""
    print(printable(text), file=sys.stderr)
