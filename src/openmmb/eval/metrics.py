"""Metrics, each a function of texts alone."""

import re
import warnings
from collections.abc import Sequence

from openmmb.errors import ConfigError

_WORD = re.compile(r"[a-z0-9']+")


def words(text: str) -> list[str]:
    """Split into lower-case words without punctuation, as caption evaluation does."""
    return _WORD.findall(text.lower())


def bleu(
    candidates: Sequence[str], references: Sequence[Sequence[str]], *, max_n: int = 4
) -> float:
    """Corpus BLEU (Papineni et al. 2002) with several references each, 0 to 1, not smoothed.

    Raises:
        ConfigError: NLTK is not installed.
        ValueError: There are no candidates, or not as many lists of references.
    """
    try:
        from nltk.translate.bleu_score import corpus_bleu  # slow to import, and an extra
    except ImportError as error:
        raise ConfigError("BLEU needs NLTK: pip install 'openmmb[train]'") from error

    if not candidates or len(candidates) != len(references):
        raise ValueError(f"{len(candidates)} candidates, {len(references)} lists of references")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "\nThe hypothesis contains 0 counts")  # a true 0
        score: float = corpus_bleu(
            [[words(text) for text in texts] for texts in references],
            [words(text) for text in candidates],
            weights=[1 / max_n] * max_n,
        )
    return score
