"""Which of Image-Chat's styles are positive or neutral, and which negative.

Raw: ``<root>/image_chat/personalities.json`` or ``<root>/personalities/personalities.json``,
``{"positive": [style, ...], "neutral": [...], "negative": [...]}``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openmmb.data.controls import NEGATIVE, POSITIVE
from openmmb.errors import DataError
from openmmb.tasks.read import find_file, read_json

# The published lists lack two styles that the dialogues have; ParlAI adds them the same way.
MISSING = {"Crude": NEGATIVE, "Earnest": POSITIVE}

FILES = ("image_chat/personalities.json", "personalities/personalities.json")
"""Where the lists may lie, under the folder of all data sets."""


@dataclass(frozen=True)
class Raw:
    """The lists as published."""

    positive: list[str]
    neutral: list[str]
    negative: list[str]


def has_polarities(root: Path) -> bool:
    """Say whether the file that lists the polarities of styles is under ``root``."""
    return any((root / name).is_file() for name in FILES)


def read_polarities(root: Path) -> Mapping[str, str]:
    """Return the polarity of each style.

    Raises:
        DataError: The file is missing or malformed.
    """
    try:
        path = find_file(root, *FILES)
    except DataError as error:
        raise DataError(
            f"{error}, which says the polarity of each style; use 'openmmb data fetch image_chat' "
            "to get it, or set controls.category_frac to 0"
        ) from None
    raw = read_json(path, Raw)
    return {
        **dict.fromkeys((*raw.positive, *raw.neutral), POSITIVE),
        **dict.fromkeys(raw.negative, NEGATIVE),
        **MISSING,
    }
