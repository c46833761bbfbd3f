"""What stands behind ParlAI's flags: each function reads one kind of value.

Each takes the text and raises ValueError, which says what is expected.
"""

import math
from collections.abc import Callable
from typing import Any

from openmmb.errors import ConfigError
from openmmb.vision.encoders import find_encoder

Read = Callable[[str], Any]


def text(word: str) -> str:
    """Return a value as it stands."""
    return word


def spaced(word: str) -> str:
    r"""Read a delimiter, in which ``\n`` and ``\t`` may be spelled out."""
    return word.replace("\\n", "\n").replace("\\t", "\t")


def truth(word: str) -> bool:
    """Read a boolean as ParlAI does."""
    if word.lower() in ("yes", "true", "t", "1", "y"):
        return True
    if word.lower() in ("no", "false", "f", "n", "0"):
        return False
    raise ValueError("expected True or False")


def whole(word: str) -> int:
    """Read a whole number."""
    try:
        return int(word)
    except ValueError:
        raise ValueError("expected a whole number") from None


def number(word: str) -> float:
    """Read a number."""
    try:
        value = float(word)
    except ValueError:
        raise ValueError("expected a number") from None
    if not math.isfinite(value):
        raise ValueError("expected a finite number")
    return value


def numbers(word: str) -> tuple[float, ...]:
    """Read numbers with commas between, which may stand in parentheses."""
    return tuple(number(item) for item in word.strip("()[] ").split(","))


def counted(word: str) -> int:
    """Read a number of which ParlAI says -1 for none."""
    return max(0, whole(word))


def shares(word: str) -> tuple[float, ...] | None:
    """Read the weights of tasks; None where each counts by its size."""
    if word == "stochastic":
        return None
    weights = numbers(word)
    if any(weight <= 0 for weight in weights):
        raise ValueError("expected stochastic, or a number above 0 for each task")
    return weights


def nothing_or(word: str) -> str | None:
    """Read a text of which ParlAI says ``none`` for nothing."""
    return None if word.lower() in ("none", "") else word


def encoder(word: str) -> str | None:
    """Read an image mode; None for those that give the model no image vectors."""
    if word in ("raw", "none", "no_image_model", "ascii"):
        return None
    try:
        return find_encoder(word)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def precision(word: str) -> str:
    """Read whether 16 bits are enough for the products."""
    return "fp16" if truth(word) else "fp32"


def one_of(meanings: dict[str, Any]) -> Read:
    """Read a word that stands for something."""

    def read(word: str) -> Any:
        if word not in meanings:
            raise ValueError(f"expected one of {', '.join(meanings)}")
        return meanings[word]

    return read
