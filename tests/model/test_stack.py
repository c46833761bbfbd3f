"""Layers computed a second time for their gradient give what layers computed once give."""

import torch
from torch import Tensor, nn

from openmmb.model.stack import Stack


class Noisy(nn.Module):
    """x -> dropout(W x) + y, counting its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.dropout = nn.Dropout(0.5)
        self.calls = 0

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        self.calls += 1
        return nn.functional.gelu(self.dropout(self.linear(x))) + y


def test_gradients_are_equal_bit_for_bit_with_the_same_noise() -> None:
    stack = Stack(Noisy() for _ in range(3))
    x, y = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    found: list[list[Tensor]] = []
    for recompute in (False, True):
        stack.recompute = recompute
        stack.zero_grad()
        torch.manual_seed(3)
        leaf = x.clone().requires_grad_()
        stack.run(leaf, y).square().sum().backward()  # type: ignore[no-untyped-call]
        assert leaf.grad is not None
        found.append(
            [leaf.grad, *(w.grad.clone() for w in stack.parameters() if w.grad is not None)]
        )
    assert len(found[0]) == 7
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    assert [layer.calls for layer in stack if isinstance(layer, Noisy)] == [3, 3, 3]


def test_without_a_gradient_nothing_is_computed_twice() -> None:
    stack = Stack([Noisy()])
    stack.recompute = True
    x = torch.randn(2, 5, 8)
    with torch.no_grad():
        stack.run(x, x)
    stack.eval()
    stack.run(x.requires_grad_(), x).sum().backward()  # type: ignore[no-untyped-call]
    (layer,) = stack
    assert isinstance(layer, Noisy)
    assert layer.calls == 2


def test_a_stack_names_its_weights_as_a_list_does() -> None:
    layers = [nn.Linear(2, 2), nn.Linear(2, 2)]
    assert Stack(layers).state_dict().keys() == nn.ModuleList(layers).state_dict().keys()
