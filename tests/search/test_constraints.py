"""A constraint bans exactly the tokens that its plain twin bans, for every beam on its own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openmmb.search.constraints import (
    BANNED,
    Constraint,
    min_length,
    no_context_ngram,
    no_phrase,
    no_repeated_ngram,
)

V = 6
Words = list[int]


def words(*, size: int) -> st.SearchStrategy[Words]:
    return st.lists(st.integers(0, V - 1), min_size=size, max_size=size)


def grid(*, min_tokens: int = 1) -> st.SearchStrategy[list[list[Words]]]:
    """Tokens of (B, K, L)."""
    sizes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(min_tokens, 12))
    return sizes.flatmap(
        lambda s: st.lists(
            st.lists(words(size=s[2]), min_size=s[1], max_size=s[1]), min_size=s[0], max_size=s[0]
        )
    )


def banned(rule: Constraint, tokens: list[list[Words]]) -> list[list[set[int]]]:
    """Which tokens ``rule`` bans, after a check that it leaves the others as they were."""
    ids = torch.tensor(tokens)
    before = torch.randn(*ids.shape[:2], V)
    after = before.clone()
    rule(ids, after)
    hits = after == BANNED
    assert torch.equal(after[~hits], before[~hits])
    return [[set(beam.nonzero()[:, 0].tolist()) for beam in beams] for beams in hits]


def completions(said: Words, source: Words, size: int) -> set[int]:
    """Tokens after which the last ``size`` tokens of ``said`` would stand in ``source``."""
    if len(said) < size - 1:
        return set()
    prefix = said[len(said) - size + 1 :]
    starts = range(len(source) - size + 1)
    return {source[i + size - 1] for i in starts if source[i : i + size - 1] == prefix}


@settings(deadline=None)
@given(grid(), st.integers(1, 4))
def test_repeated_ngrams(tokens: list[list[Words]], size: int) -> None:
    wanted = [[completions(said, said, size) for said in beams] for beams in tokens]
    assert banned(no_repeated_ngram(size), tokens) == wanted


@settings(deadline=None)
@given(grid(), st.data(), st.integers(0, 12), st.integers(1, 4))
def test_context_ngrams(
    tokens: list[list[Words]], data: st.DataObject, length: int, size: int
) -> None:
    context = data.draw(
        st.lists(words(size=length), min_size=len(tokens), max_size=len(tokens)), label="context"
    )
    rule = no_context_ngram(size, torch.tensor(context, dtype=torch.int64))
    wanted = [
        [completions(said, source, size) for said in beams]
        for beams, source in zip(tokens, context, strict=True)
    ]
    assert banned(rule, tokens) == wanted


@pytest.mark.parametrize(("said", "ban"), [([1], set()), ([1, 3], {5}), ([4, 1, 3], {5})])
def test_the_start_token_may_begin_an_ngram_of_the_context(said: Words, ban: set[int]) -> None:
    assert banned(no_context_ngram(3, torch.tensor([[1, 3, 5]])), [[said]]) == [[ban]]


@settings(deadline=None)
@given(grid(), st.lists(st.integers(1, 4).flatmap(lambda n: words(size=n)), max_size=8))
def test_phrases(tokens: list[list[Words]], phrases: list[Words]) -> None:
    wanted = [
        [set().union(*(completions(said, p, len(p)) for p in phrases)) for said in beams]
        for beams in tokens
    ]
    assert banned(no_phrase(phrases), tokens) == wanted


def test_a_phrase_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="phrase 1 has no tokens; it must have at least one"):
        no_phrase([[3], []])


@pytest.mark.parametrize("length", [0, 1, 3])
def test_min_length_counts_tokens_after_the_start(length: int) -> None:
    for said in range(5):
        wanted = {2} if said < length else set()
        assert banned(min_length(length, end_id=2), [[[1] + [4] * said]]) == [[wanted]]
