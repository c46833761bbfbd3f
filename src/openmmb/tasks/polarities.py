"""Which of Image-Chat's styles are positive or neutral, and which negative.

Raw: ``<root>/image_chat/personalities.json`` or ``<root>/personalities/personalities.json``,
``{"positive": [style, ...], "neutral": [...], "negative": [...]}``.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from openmmb.data.controls import NEGATIVE, POSITIVE
from openmmb.errors import DataError

# The published lists lack two styles that the dialogues have; ParlAI adds them the same way.
MISSING = {"Crude": NEGATIVE, "Earnest": POSITIVE}


def read_polarities(root: Path) -> Mapping[str, str]:
    """Return the polarity of each style.

    Raises:
        DataError: The file is missing or malformed.
    """
    places = [root / folder / "personalities.json" for folder in ("image_chat", "personalities")]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise DataError(f"{places[0]}: no such file, nor {places[1]}; styles need it")
    try:
        classes = json.loads(path.read_text(encoding="utf-8"))
        return {
            **MISSING,
            **{style: POSITIVE for name in ("positive", "neutral") for style in classes[name]},
            **dict.fromkeys(classes["negative"], NEGATIVE),
        }
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: {error!r}; expected an object of lists positive, neutral, negative"
        ) from error
