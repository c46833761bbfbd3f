"""How pleasant a text sounds."""

from functools import cache
from typing import Any

from openmmb.errors import ConfigError


def sentiment(text: str) -> float:
    """Return how pleasant ``text`` sounds, from -1 to 1; 0 is neutral.

    It is VADER's compound score (Hutto and Gilbert 2014): a lexicon with rules for negation,
    emphasis and emoticons.

    Raises:
        ConfigError: VADER is not installed.
    """
    return float(_vader().polarity_scores(text)["compound"])


@cache
def _vader() -> Any:
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError as error:
        raise ConfigError("sentiment needs VADER: pip install 'openmmb[train]'") from error
    return SentimentIntensityAnalyzer()
