"""What the commands share: flags, and words to the user."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from openmmb.errors import ConfigError
from openmmb.recipes import find_recipe
from openmmb.text.printable import printable

if TYPE_CHECKING:
    from openmmb.training.replies.config import Recipe

DEFAULT_CHECKPOINT = Path("small")
MOST = 2**31 - 1
"""No count is higher."""

CheckpointArg = Annotated[Positional[Path], arg(metavar="[CHECKPOINT]", help_behavior_hint="")]
PathOrNone = Annotated[Path | None, arg(metavar="PATH", help_behavior_hint="")]
# No Path, which would make https:/ of https://, so that nobody could say why it is refused.
PictureOrNone = Annotated[str | None, arg(metavar="PATH", help_behavior_hint="")]
Words = Annotated[str | None, arg(metavar="WORDS", help_behavior_hint="")]
# Once a line: a flag that takes several words would take the checkpoint behind them too.
Lines = Annotated[tuple[str, ...], UseAppendAction, arg(metavar="LINE", help_behavior_hint="")]
Switch = Annotated[bool, arg(help_behavior_hint="")]
Gender = Literal["checkpoint", "f0m0", "f0m1", "f1m0", "f1m1", "none"]
Device = Literal["auto", "cpu", "cuda"]
EngineKind = Literal["auto", "plain", "fp32", "bf16", "int8", "cuda", "cuda-fp32"]
SplitOrNone = Annotated[
    Literal["train", "valid", "test"] | None,
    arg(metavar="{train,valid,test}", help_behavior_hint=""),
]


def require_count(flag: str, value: int, *, least: int = 1) -> None:
    """Refuse a count that is too low, or absurdly high.

    Raises:
        ConfigError: ``value`` is below ``least`` or above ``MOST``.
    """
    if value < least:
        raise ConfigError(f"{flag}: must be at least {least}, got {value}")
    if value > MOST:
        raise ConfigError(f"{flag}: must be at most {MOST}, got {value}")


def require_positive(flag: str, value: float, *, most: float = math.inf) -> None:
    """Refuse a number that is not above 0, or is above ``most``.

    Raises:
        ConfigError: It is so, or no number at all.
    """
    if not 0 < value <= most or math.isinf(value):
        limit = "" if math.isinf(most) else f" and at most {most:g}"
        raise ConfigError(f"{flag}: must be above 0{limit}, got {value:g}")


def load_recipe(name: str) -> "Recipe":
    """Read a recipe of a model that talks, given as a path or by the name of a bundled one.

    What it leaves out is as in the checkpoint that it starts from, if that is here.

    Raises:
        ConfigError: There is no such recipe, it is wrong, or it trains a classifier.
    """
    from openmmb.training.classifier.config import is_classifier_recipe
    from openmmb.training.replies.settle import read_settled

    path = find_recipe(name)
    if is_classifier_recipe(path):
        raise ConfigError(f"{path}: trains a classifier; expected a recipe of a model that talks")
    return read_settled(path, needed=False)


def agree_to_replace(path: Path | str, what: str, *, replace: bool) -> None:
    """Ask on a terminal whether what is there may be replaced; elsewhere a flag has to say so.

    Args:
        path: Where it is.
        what: What is there.
        replace: Whether the flag ``--replace`` was given.

    Raises:
        ConfigError: It may not.
    """
    if replace:
        return
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(f"{path}: is {what}; use --replace to replace it")
    print(printable(f"{path}: is {what}. Replace it? [y/N] "), end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigError(f"{path}: stays as it is; name another place")


def complain(text: str) -> None:
    """Say one line on standard error, with nothing in it that would steer the terminal."""
    print(printable(text), file=sys.stderr)
