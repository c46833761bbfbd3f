"""Metrics, each a function of texts alone.

``f1``, ``bleu4`` and ``rouge_l`` are of one reply, as ParlAI defines them, so that their means
compare with published numbers; ``bleu`` is of a corpus, as captions are measured.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from openmmb.errors import ConfigError
from openmmb.quiet import no_warnings

_WORD = re.compile(r"[a-z0-9']+")
_ARTICLE = re.compile(r"\b(a|an|the)\b")
_SPACED = str.maketrans(dict.fromkeys(string.punctuation, " "))
_CONTRACTED = re.compile(r"\b(gim|lem)(me)\b|\b(gon|wan)(na)\b|\b(got)(ta)\b")
_EPSILON = 1e-12
"""Matches where there are none, so that a product is not 0 (NLTK's smoothing ``method1``)."""
MAX_BYTES = 665
"""ROUGE looks at the beginning of a text."""


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
    with no_warnings():  # NLTK's about counts of 0, which are true
        score: float = corpus_bleu(
            [[words(text) for text in texts] for texts in references],
            [words(text) for text in candidates],
            weights=[1 / max_n] * max_n,
        )
    return score


def normalize(text: str) -> str:
    """Lower case, ASCII punctuation and articles to spaces, single spaces: ParlAI's, SQuAD's."""
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_SPACED)).split())


def f1(candidate: str, references: Sequence[str]) -> float:
    """Harmonic mean of the shares of words in common, 0 to 1, with the reference most alike."""
    return max(_f1(normalize(candidate).split(), normalize(text).split()) for text in references)


def bleu4(candidate: str, references: Sequence[str]) -> float:
    """BLEU-4 of one reply, 0 to 1, as ParlAI smooths it: next to 0 without a common 4-gram.

    Raises:
        ConfigError: NLTK is not installed.
    """
    try:
        from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    except ImportError as error:
        raise ConfigError("BLEU needs NLTK: pip install 'openmmb[train]'") from error

    score: float = sentence_bleu(
        [normalize(text).split(" ") for text in references],
        normalize(candidate).split(" "),
        smoothing_function=SmoothingFunction(epsilon=_EPSILON).method1,
        weights=(0.25, 0.25, 0.25, 0.25),
    )
    return score


def rouge_l(candidate: str, references: Sequence[str]) -> float:
    """Share of a reference's words that the candidate has in the same order, 0 to 1; the best.

    It is recall, as in ParlAI and so in the paper. ParlAI's ``py-rouge`` also looks up irregular
    forms ("taught" is "teach") before it takes stems; here "taught" is itself.

    Raises:
        ConfigError: NLTK is not installed.
    """
    stems = _stems(candidate)
    return max(_recall(stems, _stems(text)) for text in references)


def _f1(candidate: Sequence[str], reference: Sequence[str]) -> float:
    common = sum((Counter(candidate) & Counter(reference)).values())
    return 2 * common / (len(candidate) + len(reference)) if common else 0.0


def _stems(text: str) -> list[str]:
    ascii_only = re.sub(r"[^a-z0-9]", " ", normalize(text)[:MAX_BYTES])
    parts = _CONTRACTED.sub(lambda match: " ".join(filter(None, match.groups())), ascii_only)
    return [_stem(word) for word in parts.split()]


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    return str(_stemmer().stem(word)) if len(word) > 3 else word


@cache
def _stemmer() -> Any:
    try:
        from nltk.stem.porter import PorterStemmer
    except ImportError as error:
        raise ConfigError("ROUGE needs NLTK: pip install 'openmmb[train]'") from error
    return PorterStemmer(PorterStemmer.ORIGINAL_ALGORITHM)


def _recall(candidate: Sequence[str], reference: Sequence[str]) -> float:
    """Longest common subsequence over the reference's length."""
    if not reference:
        return 0.0
    row = [0] * (len(reference) + 1)
    for word in candidate:
        before = row
        row = [0]
        for at, other in enumerate(reference):
            row.append(before[at] + 1 if word == other else max(before[at + 1], row[-1]))
    return row[-1] / len(reference)
