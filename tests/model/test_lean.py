"""Operations with gradients written out are the plain ones, forward and backward."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from openmmb.model.lean import low_rank, rms_norm, rotate

EPS = 1e-5


def plain_norm(x: Tensor, weight: Tensor) -> Tensor:
    wide = x.float() if x.dtype != torch.float64 else x
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + EPS)).to(x.dtype) * weight


def plain_rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def plain_low_rank(x: Tensor, weight: Tensor, bias: Tensor, down: Tensor, up: Tensor) -> Tensor:
    return F.linear(x, weight, bias) + 1.5 * F.linear(F.linear(x, down), up)


def angles(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    half = torch.rand(2, 3, 1, 4, dtype=dtype) * 6
    both = torch.cat([half, half], dim=-1)
    return both.cos(), both.sin()


Case = tuple[Callable[..., Tensor], Callable[..., Tensor], list[Tensor], list[bool]]


def case(name: str, dtype: torch.dtype) -> Case:
    """What is tested, its plain twin, what both are given, and what of that gets a gradient."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 8, dtype=dtype)
    if name == "norm":
        given = [x, torch.rand(8, dtype=dtype) + 0.5]
        return lambda x, w: rms_norm(x, w, EPS), plain_norm, given, [True, True]
    if name == "rotate":
        return rotate, plain_rotate, [x, *angles(dtype)], [True, False, False]
    shapes = ((6, 8), (6,), (2, 8), (6, 2))
    given = [x, *(torch.randn(shape, dtype=dtype) for shape in shapes)]
    return (
        lambda x, w, b, down, up: low_rank(x, w, b, down, up, 1.5),
        plain_low_rank,
        given,
        [True, False, False, True, True],
    )


def outcome(
    function: Callable[..., Tensor], given: list[Tensor], learn: list[bool]
) -> list[Tensor]:
    leaves = [t.clone().requires_grad_(flag) for t, flag in zip(given, learn, strict=True)]
    result = function(*leaves)
    (result * torch.linspace(-1, 1, result.numel()).view_as(result)).sum().backward()  # type: ignore[no-untyped-call]
    return [result.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


@pytest.mark.parametrize("name", ["norm", "rotate", "low rank"])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_results_and_gradients_are_the_plain_ones(
    name: str, dtype: torch.dtype, atol: float
) -> None:
    lean, plain, given, learn = case(name, dtype)
    found, expected = outcome(lean, given, learn), outcome(plain, given, learn)
    assert [t.dtype for t in found] == [t.dtype for t in expected]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=atol, atol=atol)


@pytest.mark.parametrize("name", ["norm", "rotate", "low rank"])
def test_gradients_are_those_of_small_differences(name: str) -> None:
    lean, _, given, learn = case(name, torch.float64)
    leaves = [t.requires_grad_(flag) for t, flag in zip(given, learn, strict=True)]
    assert torch.autograd.gradcheck(lean, leaves)


@pytest.mark.parametrize("name", ["norm", "rotate", "low rank"])
def test_nothing_that_needs_no_gradient_gets_one(name: str) -> None:
    lean, plain, given, _ = case(name, torch.float32)
    last = [False] * (len(given) - 1) + [True]
    if name == "rotate":
        last = [False] * len(given)
    leaves = [t.requires_grad_(flag) for t, flag in zip(given, last, strict=True)]
    result = lean(*leaves)
    assert result.requires_grad is any(last)
    torch.testing.assert_close(result, plain(*given))
    if any(last):
        result.sum().backward()  # type: ignore[no-untyped-call]
        assert [leaf.grad is not None for leaf in leaves] == last


def test_thin_products_follow_autocast() -> None:
    lean, _, given, learn = case("low rank", torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = outcome(lean, given, learn)
    expected = outcome(lean, given, learn)
    assert found[0].dtype == torch.bfloat16
    for half, full in zip(found[1:], expected[1:], strict=True):
        assert half.dtype == torch.float32
        torch.testing.assert_close(half, full, rtol=0.1, atol=0.2)
