"""Operations with gradients written out are the plain ones, forward and backward."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from openmmb.model.lean import Dropout, cross_entropy, low_rank, noise_like, rms_norm, rotate

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("banned", [[], [0, 7]])
def test_the_cross_entropy_and_its_gradient_are_the_plain_ones(
    dtype: torch.dtype, smoothing: float, banned: list[int]
) -> None:
    torch.manual_seed(0)
    given = torch.randn(6, 9, dtype=dtype)
    targets = torch.tensor([1, 2, 8, 3, 3, 1])
    kept = [at for at in range(9) if at not in banned]
    lean, plain = given.clone().requires_grad_(), given.clone().requires_grad_()
    found = cross_entropy(lean, targets, smoothing, torch.tensor(banned, dtype=torch.int64))
    shorter = torch.tensor([kept.index(one) for one in targets.tolist()])
    expected = F.cross_entropy(
        plain[:, kept].float(), shorter, reduction="sum", label_smoothing=smoothing
    )
    torch.testing.assert_close(found, expected)
    for loss in (found, expected):
        (loss * 3).backward()  # type: ignore[no-untyped-call]
    assert lean.grad is not None
    torch.testing.assert_close(lean.grad, plain.grad)
    assert lean.grad.dtype == dtype
    torch.testing.assert_close(lean.detach(), given)


def test_a_cross_entropy_goes_back_only_once() -> None:
    loss = cross_entropy(
        torch.randn(2, 3, requires_grad=True), torch.tensor([0, 2]), 0.0, torch.tensor([1])
    )
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5])
def test_noise_is_nought_as_often_as_asked_and_one_in_the_mean(p: float) -> None:
    torch.manual_seed(0)
    noise = noise_like(torch.empty(101, 1001), p)
    assert float((noise == 0).float().mean()) == pytest.approx(p, abs=0.01)
    assert float(noise.mean()) == pytest.approx(1.0, abs=0.01)
    assert len(set(noise.flatten().tolist())) == 1 + (p > 0)


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (5, 7)])
def test_dropout_is_its_seeds_and_nothing_outside_training(shape: tuple[int, ...]) -> None:
    dropout, x = Dropout(0.5), torch.ones(shape, dtype=torch.bfloat16)
    torch.manual_seed(1)
    first = dropout(x)
    torch.manual_seed(1)
    assert dropout(x).equal(first)
    assert (first.dtype, first.shape) == (x.dtype, x.shape)
    assert dropout.eval()(x) is x
    assert not Dropout(1.0)(x).any()


def test_the_gradient_goes_where_the_value_went() -> None:
    x = torch.ones(4, 9, requires_grad=True)
    kept = Dropout(0.5)(x)
    kept.sum().backward()
    torch.testing.assert_close(x.grad, kept.detach())
