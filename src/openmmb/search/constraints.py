"""Which tokens may not come next, as functions that overwrite logits.

Each rule is a function made once for a search and called at every step. It compares token ids in
whole tensors and never asks the device for an answer, so no step waits for it.

Sizes: B inputs, K beams, L tokens so far, V vocabulary, S context tokens, n tokens in an n-gram,
M positions of n-grams, P phrases.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

BANNED = -1e20
"""Logit of a banned token, and score of a hypothesis with one. It is finite, as in ParlAI: where
everything is banned a search still chooses, and the hypothesis counts as dead."""

Constraint = Callable[[Tensor, Tensor], None]
"""Tokens so far (B, K, L) int64 and logits (B, K, V) float32 -> None; bans by writing
``BANNED``. What one rule has banned another leaves as it is, so their order does not matter."""


def min_length(length: int, end_id: int) -> Constraint:
    """Ban the end token until ``length`` tokens follow the start token."""

    def ban(tokens: Tensor, logits: Tensor) -> None:
        if tokens.shape[-1] - 1 < length:
            logits[..., end_id] = BANNED

    return ban


def no_repeated_ngram(size: int) -> Constraint:
    """Ban what would repeat an n-gram of its own hypothesis, the start token included.

    As in ParlAI this goes for every token, the end token too.
    """

    def ban(tokens: Tensor, logits: Tensor) -> None:
        _ban_next(tokens, tokens, size, logits)

    return ban


def no_context_ngram(size: int, context: Tensor) -> Constraint:
    """Ban what would complete an n-gram of the input's context.

    The context is taken as it is. ParlAI's ends with the end token and padding, and both count:
    the reply cannot end on the last words of its context. Padding makes no difference where the
    padding token is banned altogether.

    Args:
        size: n.
        context: (B, S) int64.
    """
    context = context[:, None]  # (B, 1, S): one context for all beams of an input

    def ban(tokens: Tensor, logits: Tensor) -> None:
        _ban_next(tokens, context, size, logits)

    return ban


def no_phrase(
    phrases: Sequence[Sequence[int]], *, device: torch.device | str = "cpu"
) -> Constraint:
    """Ban the last token of a phrase where a hypothesis ends with the rest of it.

    Args:
        phrases: Token ids of each; one of a single token is banned everywhere.
        device: That of the logits.

    Raises:
        ValueError: A phrase has no tokens.
    """
    by_size: dict[int, list[list[int]]] = {}
    for at, phrase in enumerate(phrases):
        if not phrase:
            raise ValueError(f"phrase {at} has no tokens; it must have at least one")
        by_size.setdefault(len(phrase), []).append(list(phrase))
    tables = [torch.tensor(rows, device=device) for rows in by_size.values()]  # (P, n) each

    def ban(tokens: Tensor, logits: Tensor) -> None:
        for table in tables:
            *prefix, last = table[None, None].unbind(-1)  # n of (1, 1, P)
            if tokens.shape[-1] >= len(prefix):
                _write(logits, last.expand(*tokens.shape[:2], -1), _follows(tokens, prefix))

    return ban


def _ban_next(tokens: Tensor, source: Tensor, size: int, logits: Tensor) -> None:
    """Ban what would complete an n-gram of ``source``, (B, K or 1, S)."""
    count = source.shape[-1] - size + 1  # M
    if count < 1 or tokens.shape[-1] < size - 1:
        return
    hits = _follows(tokens, [source[..., at : at + count] for at in range(size - 1)])
    ids = source[..., size - 1 :].expand(*tokens.shape[:2], -1)
    _write(logits, ids, hits)


def _follows(tokens: Tensor, prefixes: list[Tensor]) -> Tensor | None:
    """Where hypotheses end with a prefix, (B, K, M); None stands for everywhere.

    Args:
        tokens: (B, K, L).
        prefixes: For each of n - 1 tokens, what it must be at each position: (B or 1, K or 1, M).
    """
    hits: Tensor | None = None
    for back, wanted in zip(range(len(prefixes), 0, -1), prefixes, strict=True):
        same = wanted == tokens[..., -back, None]
        hits = same if hits is None else hits & same
    return hits


def _write(logits: Tensor, ids: Tensor, hits: Tensor | None) -> None:
    """Ban ``ids`` (B, K, M) where ``hits`` (B, K, M)."""
    if hits is None:
        logits.scatter_(-1, ids, BANNED)
    else:  # a minimum, since an id may occur at several positions and be hit at only one of them
        logits.scatter_reduce_(-1, ids, torch.where(hits, BANNED, torch.inf), "amin")
