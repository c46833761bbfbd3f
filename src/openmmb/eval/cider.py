"""CIDEr-D, which weighs the words of a caption by how few pictures they fit.

Vedantam et al. 2015, "CIDEr: Consensus-based Image Description Evaluation". The numbers are those
of the COCO caption evaluation, on words as ``metrics.words`` splits them.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from openmmb.eval.metrics import words

MAX_N = 4
SIGMA = 6.0
"""How fast a score falls with the difference in length, in words."""
SCALE = 10.0

Ngram = tuple[str, ...]


def cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return the mean CIDEr-D of captions, 0 to 10.

    How rare an n-gram is, is counted in ``references``: compare numbers of the same pictures.

    Args:
        candidates: A caption a picture.
        references: What people wrote of each picture.

    Raises:
        ValueError: There are no candidates, or not as many lists of references.
    """
    if not candidates or len(candidates) != len(references):
        raise ValueError(f"{len(candidates)} candidates, {len(references)} lists of references")
    counted = [[_ngrams(text) for text in texts] for texts in references]
    pictures = Counter(
        ngram for texts in counted for ngram in {ngram for text in texts for ngram in text}
    )
    weights = {
        ngram: math.log(len(references)) - math.log(number) for ngram, number in pictures.items()
    }
    unseen = math.log(len(references))
    scores = [
        _score(_ngrams(candidate), texts, weights, unseen)
        for candidate, texts in zip(candidates, counted, strict=True)
    ]
    return sum(scores) / len(scores)


def _ngrams(text: str) -> Counter[Ngram]:
    split = words(text)
    return Counter(
        tuple(split[start : start + n])
        for n in range(1, MAX_N + 1)
        for start in range(len(split) - n + 1)
    )


def _score(
    candidate: Counter[Ngram],
    references: Sequence[Counter[Ngram]],
    weights: Mapping[Ngram, float],
    unseen: float,
) -> float:
    """Return the mean over references and lengths of n-grams."""

    def weighted(counts: Counter[Ngram], n: int) -> dict[Ngram, float]:
        return {
            ngram: number * weights.get(ngram, unseen)
            for ngram, number in counts.items()
            if len(ngram) == n
        }

    total = 0.0
    for reference in references:
        # Lengths are counted in pairs of words, as the published code does.
        difference = _pairs(candidate) - _pairs(reference)
        penalty = math.exp(-(difference**2) / (2 * SIGMA**2))
        for n in range(1, MAX_N + 1):
            total += penalty * _similarity(weighted(candidate, n), weighted(reference, n))
    return SCALE * total / (MAX_N * len(references)) if references else 0.0


def _pairs(counts: Counter[Ngram]) -> int:
    return sum(number for ngram, number in counts.items() if len(ngram) == 2)


def _similarity(candidate: Mapping[Ngram, float], reference: Mapping[Ngram, float]) -> float:
    """Return the cosine, a candidate's weight counted at most as high as the reference's."""
    product = sum(
        min(weight, reference[ngram]) * reference[ngram]
        for ngram, weight in candidate.items()
        if ngram in reference
    )
    norms = math.hypot(*candidate.values()) * math.hypot(*reference.values())
    return product / norms if norms else 0.0
