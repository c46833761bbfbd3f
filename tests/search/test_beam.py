"""The likeliest continuations are those that a full table of log-probabilities gives."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openmmb.search.beam import choose_best, choose_likeliest


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 5), st.integers(1, 9))
def test_best_of_all_beams_together(seed: int, B: int, K: int, V: int) -> None:
    noise = torch.Generator().manual_seed(seed)
    logits = torch.randn(B, K, V, generator=noise)
    scores = torch.randn(B, K, generator=noise)
    choice = choose_best(logits, logits.logsumexp(-1, keepdim=True), scores)
    table = (logits.log_softmax(-1) + scores[..., None]).flatten(1)
    best, at = table.topk(K)
    torch.testing.assert_close(choice.scores, best)
    assert torch.equal(choice.parents * V + choice.tokens, at)


def test_likeliest_continues_each_beam_with_the_first_of_equals() -> None:
    logits = torch.tensor([[[0.0, 2.0, 2.0], [3.0, 0.0, 3.0]]])
    choice = choose_likeliest(logits, torch.zeros(1, 2, 1), torch.tensor([[-1.0, -5.0]]))
    assert choice.parents.tolist() == [[0, 1]]
    assert choice.tokens.tolist() == [[1, 0]]
    assert choice.scores.tolist() == [[1.0, -2.0]]
