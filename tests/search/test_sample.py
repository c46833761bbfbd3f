"""A draw is torch.multinomial's, comes from the likeliest tokens only, and follows its seed."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openmmb.search.constraints import BANNED
from openmmb.search.hypothesis import Choice
from openmmb.search.sample import draw_nucleus, draw_top_k

K, V = 3, 9
SCORES = torch.tensor([[-1.0, -2.0, -3.0]] * 2)


def noise(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits(seed: int) -> torch.Tensor:
    return torch.randn(2, K, V, generator=noise(seed)) * 3


def top_k(table: torch.Tensor, k: int, seed: int, *, done: tuple[bool, bool]) -> Choice:
    total = table.logsumexp(-1, keepdim=True)
    return draw_top_k(table, total, SCORES, k, done=done, generators=[noise(seed)] * 2)


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(1, V + 3))
def test_top_k_draws_as_multinomial_does_input_by_input(seed: int, k: int) -> None:
    table, source = logits(seed), noise(seed)
    choice = top_k(table, k, seed, done=(False, False))
    for at in range(2):
        values, ids = table[at].topk(min(k, V))
        drawn = torch.multinomial(values.softmax(-1), 1, generator=source)
        tokens = ids.gather(-1, drawn)
        assert choice.tokens[at].tolist() == tokens[:, 0].tolist()
        added = table[at].log_softmax(-1).gather(-1, tokens)[:, 0]
        torch.testing.assert_close(choice.scores[at], SCORES[at] + added)
    assert choice.parents.tolist() == [[0, 1, 2]] * 2


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 1))
def test_nucleus_draws_from_the_fewest_tokens_that_reach_p(seed: int, p: float) -> None:
    table = logits(seed)
    choice = draw_nucleus(table, SCORES, p, done=(False, False), generators=[noise(seed)] * 2)
    for row, token, added in zip(
        table.flatten(0, 1),
        choice.tokens.flatten(),
        (choice.scores - SCORES).flatten(),
        strict=True,
    ):
        inside: list[int] = []
        probs = row.softmax(-1)
        for at in probs.argsort(descending=True).tolist():
            if inside and float(probs[inside].sum()) >= p - 1e-6:
                break
            inside.append(at)
        assert int(token) in inside
        share = float(probs[token] / probs[inside].sum())
        assert float(added) == pytest.approx(math.log(share), abs=1e-4)


def test_inputs_that_are_done_take_no_randomness() -> None:
    table = logits(0)
    both = top_k(table.flip(0), 5, 7, done=(False, False))
    second = top_k(table, 5, 7, done=(True, False))
    assert second.tokens[1].tolist() == both.tokens[0].tolist()


def test_draws_are_as_frequent_as_the_tokens_are_likely() -> None:
    table = torch.tensor([0.5, 0.3, 0.2]).log().expand(1, 20_000, 3)
    scores = torch.zeros(1, 20_000)
    total = torch.zeros(1, 20_000, 1)
    choice = draw_top_k(table, total, scores, 2, done=(False,), generators=[noise(0)])
    share = choice.tokens[0].bincount(minlength=3) / 20_000
    torch.testing.assert_close(share, torch.tensor([0.625, 0.375, 0.0]), atol=0.015, rtol=0)


def test_a_draw_where_everything_is_banned_is_dead() -> None:
    table = torch.full((2, K, V), BANNED)
    nucleus = draw_nucleus(table, SCORES, 0.9, done=(False, False), generators=[noise(0)] * 2)
    likeliest = draw_top_k(table, torch.zeros(2, K, 1), SCORES, 4, done=(False, False))
    assert (nucleus.scores <= BANNED).all()
    assert (likeliest.scores <= BANNED).all()


def test_a_token_behind_those_that_just_reach_the_share_is_never_drawn() -> None:
    """Half and a quarter are exact numbers, and so is their sum."""
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log().expand(1, 200, 4)
    choice = draw_nucleus(logits, torch.zeros(1, 200), 0.75, done=[False])
    assert set(choice.tokens.flatten().tolist()) == {0, 1}
