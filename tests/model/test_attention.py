"""Attention is the softmax of scaled products, however it is computed."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from openmmb.model.attention import CrossAttention, SelfAttention, attend, merge_heads, split_heads
from openmmb.model.initial import initialise

B, H, E = 2, 3, 4


def slow(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """One query at a time; ``mask`` is (B, L, M)."""
    out = torch.zeros_like(q)
    for row in range(q.shape[0]):
        for head in range(q.shape[1]):
            for place in range(q.shape[2]):
                seen = mask[row, place].nonzero().flatten()
                scores = k[row, head, seen] @ q[row, head, place] / math.sqrt(q.shape[3])
                out[row, head, place] = scores.softmax(0) @ v[row, head, seen]
    return out


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("training", [False, True])
@given(length=st.integers(1, 4), keys=st.integers(1, 5), seed=st.integers(0, 999))
def test_attend_equals_its_plain_twin(training: bool, length: int, keys: int, seed: int) -> None:
    q = random(seed, B, H, length, E).requires_grad_(training)
    k, v = random(seed + 1, B, H, keys, E), random(seed + 2, B, H, keys, E)
    mask = random(seed + 3, B, length, keys) > 0
    mask[..., 0] = True
    found = attend(q, k, v, mask[:, None])
    torch.testing.assert_close(found.detach(), slow(q.detach(), k, v, mask))


@pytest.mark.parametrize("training", [False, True])
def test_causal_attention_sees_no_later_place(training: bool) -> None:
    q, k, v = (random(seed, B, H, 5, E).requires_grad_(training) for seed in range(3))
    found = attend(q, k, v, None, causal=True)
    before = torch.ones(B, 5, 5, dtype=torch.bool).tril()
    torch.testing.assert_close(found.detach(), slow(q.detach(), k.detach(), v.detach(), before))


@pytest.mark.parametrize("causal", [False, True])
def test_fused_and_plain_attention_have_the_same_gradients(causal: bool) -> None:
    q, k, v = inputs = [random(seed, B, H, 5, E).requires_grad_() for seed in range(3)]
    mask = None if causal else torch.tensor([[True, True, False, True, True]])
    plain = attend(q, k, v, mask, causal=causal)
    fused = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal)
    weight = random(9, B, H, 5, E)
    for one, other in zip(
        torch.autograd.grad((plain * weight).sum(), inputs),
        torch.autograd.grad((fused * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("training", [False, True])
def test_a_query_that_may_see_nothing_gives_numbers(training: bool) -> None:
    q, k, v = (random(seed, 1, 1, 2, E).requires_grad_(training) for seed in range(3))
    assert attend(q, k, v, torch.zeros(2, 2, dtype=torch.bool)).isfinite().all()


def test_dropout_on_the_weights_only_while_training() -> None:
    attention = initialise(SelfAttention(embed_dim=8, num_heads=2, dropout=0.5))
    x = random(0, 1, 6, 8)
    assert not attention(x).equal(attention(x))
    attention.eval()
    assert attention(x).equal(attention(x))


def test_merging_heads_undoes_splitting_them() -> None:
    x = random(0, 2, 5, 12)
    assert merge_heads(split_heads(x, 3)).equal(x)
    assert split_heads(x, 3)[1, 2, 4].equal(x[1, 4, 8:])


def test_cross_attention_over_one_state_is_its_value() -> None:
    cross = initialise(CrossAttention(embed_dim=8, num_heads=2))
    state = random(0, 1, 1, 8)
    k, v = cross.project(state)
    found = cross(random(1, 1, 3, 8), k, v, torch.ones(1, 1, 1, 1, dtype=torch.bool))
    torch.testing.assert_close(found, cross.out(cross.kv(state)[..., 8:]).expand(1, 3, 8))
