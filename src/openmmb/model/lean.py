"""Operations whose gradients are written out, so that they pass over memory fewer times.

On a CPU a network of a few hundred columns spends as long on such passes as on half of its
products. The results are those of the plain operations but for the order of their sums.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Divide (..., D) by the root of its mean square, in float32 at least, times (D,)."""
    normed: Tensor = _RMSNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call]
    return normed


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of numbers i and i + E/2 of (..., E) by an angle.

    Args:
        x: (..., E).
        cos: Broadcasts to it, the same for both of a pair.
        sin: As ``cos``.
    """
    turned: Tensor = _Rotate.apply(x, cos, sin)  # type: ignore[no-untyped-call]
    return turned


def low_rank(
    x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scale: float
) -> Tensor:
    """Multiply (..., K) by a frozen weight (N, K), and add a product of two thin ones -> (..., N).

    Args:
        x: (..., K).
        weight: (N, K); it gets no gradient.
        bias: (N,), or None; nor does this.
        down: (R, K).
        up: (N, R).
        scale: Multiplies what the thin ones add.
    """
    product: Tensor = _LowRank.apply(x, weight, bias, down, up, scale)  # type: ignore[no-untyped-call]
    return product


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float, banned: Tensor) -> Tensor:
    """Return the summed cross-entropy, in float32.

    Args:
        logits: (N, V).
        targets: (N,) int64.
        smoothing: Share of the target spread evenly over what is not banned.
        banned: (n,) int64, what gets no probability and no gradient.
    """
    loss: Tensor = _CrossEntropy.apply(logits, targets, smoothing, banned)  # type: ignore[no-untyped-call]
    return loss


def noise_like(x: Tensor, p: float) -> Tensor:
    """Return zeros with probability ``p``, below 1, and otherwise what makes their mean 1.

    A random number of 64 bits decides four times, so ``p`` is rounded to a 65,536th.
    """
    below = min(round(p * 2**16), 2**16 - 1)
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
    chances = bits.random_(-(2**63), None).view(torch.int16)[: x.numel()].view(x.shape)
    return (chances >= below - 2**15).to(x.dtype).mul_(2**16 / (2**16 - below))


class Dropout(nn.Dropout):
    """Dropout, in training on a CPU by ``noise_like``, which takes under half of the time."""

    def forward(self, x: Tensor) -> Tensor:
        """(...) -> (...)."""
        if not self.training or self.p in (0, 1) or x.device.type != "cpu":
            return super().forward(x)
        return x * noise_like(x, self.p)


class _CrossEntropy(Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, smoothing: float, banned: Tensor
    ) -> Tensor:
        wide = logits.float()
        if len(banned):
            wide = (wide.clone() if wide is logits else wide).index_fill_(-1, banned, -torch.inf)
        chances = wide.log_softmax(-1)
        loss = -chances.gather(1, targets[:, None]).sum() * (1 - smoothing)
        even = smoothing / (logits.shape[-1] - len(banned))
        if smoothing:
            loss -= chances.index_fill_(-1, banned, 0.0).sum() * even
        ctx.save_for_backward(chances, targets, banned)
        ctx.exact, ctx.even, ctx.dtype = 1 - smoothing, even, logits.dtype
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        chances, targets, banned = ctx.saved_tensors
        for_logits = chances.exp_()  # in place: a second pass back is refused
        for_logits[torch.arange(len(targets), device=targets.device), targets] -= ctx.exact
        if ctx.even:
            for_logits -= ctx.even
        for_logits.index_fill_(-1, banned, 0.0)
        out = torch.empty_like(for_logits, dtype=ctx.dtype)
        return torch.mul(for_logits, grad, out=out), None, None, None


class _RMSNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=wide)
        scale = torch.rsqrt(length.square_().div_(x.shape[-1]).add_(eps))
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).to(x.dtype) * weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight, scale = ctx.saved_tensors
        normed = x * scale
        for_weight = None
        if ctx.needs_input_grad[1]:
            for_weight = (grad * normed).flatten(0, -2).sum(0).to(weight.dtype)
        if not ctx.needs_input_grad[0]:
            return None, for_weight, None
        wide = (grad * weight).to(scale.dtype)
        mean = torch.linalg.vecdot(wide, normed)[..., None] / x.shape[-1]
        for_x = wide.sub_(normed.mul_(mean)).mul_(scale).to(x.dtype)
        return for_x, for_weight, None


class _Rotate(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, sin, 1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turn(grad, cos, sin, -1.0), None, None


def _turn(x: Tensor, cos: Tensor, sin: Tensor, direction: float) -> Tensor:
    half = x.shape[-1] // 2
    turned = x * cos
    turned[..., :half].addcmul_(x[..., half:], sin[..., half:], value=-direction)
    turned[..., half:].addcmul_(x[..., :half], sin[..., :half], value=direction)
    return turned


class _LowRank(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        down: Tensor,
        up: Tensor,
        scale: float,
    ) -> Tensor:
        product = F.linear(x, weight, bias)
        dtype = product.dtype  # autocast's, where it is on
        down, up, rows = down.to(dtype), up.to(dtype), x.to(dtype).flatten(0, -2)
        thin = rows @ down.T
        product.view(-1, product.shape[-1]).addmm_(thin, up.T, alpha=scale)
        ctx.save_for_backward(rows, weight, down, up, thin)
        ctx.scale, ctx.shape, ctx.dtype = scale, x.shape, x.dtype
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor, None]:
        rows, weight, down, up, thin = ctx.saved_tensors
        grad = grad.flatten(0, -2)
        for_thin = (grad @ up).mul_(ctx.scale)
        for_x = None
        if ctx.needs_input_grad[0]:
            for_x = (grad @ weight.to(grad.dtype)).addmm_(for_thin, down)
            for_x = for_x.view(*ctx.shape[:-1], -1).to(ctx.dtype)
        for_up = (grad.T @ thin).mul_(ctx.scale)
        return for_x, None, None, for_thin.T @ rows, for_up, None
