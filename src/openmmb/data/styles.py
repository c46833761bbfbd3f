"""The styles that there are names for: the traits of Image-Chat, and the two polarities.

``traits.txt`` has the traits as they are published with Image-Chat (ParlAI, under the MIT licence).
"""

from functools import cache
from importlib import resources

from openmmb.data.controls import NEGATIVE, POSITIVE


@cache
def known_styles() -> tuple[str, ...]:
    """Return the polarities, and the traits in the order of the alphabet."""
    text = resources.files("openmmb.data").joinpath("traits.txt").read_text(encoding="utf-8")
    return (POSITIVE, NEGATIVE, *sorted(text.splitlines()))


def find_style(words: str) -> str | None:
    """Return the known style of that name, however it is capitalised; None where there is none.

    >>> find_style("curious")
    'Curious'
    """
    lower = words.lower()
    return next((style for style in known_styles() if style.lower() == lower), None)
