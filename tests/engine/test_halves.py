"""A layer whose weight stays in float16 gives the numbers of float32."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from openmmb.checkpoint import open_checkpoint, save_checkpoint
from openmmb.engine.halves import HalfLinear, can_multiply_halves
from openmmb.engine.packed import open_packed
from openmmb.model.linear import Activation
from tests.build import tiny_checkpoint

CPU = torch.device("cpu")

pytestmark = pytest.mark.skipif(not can_multiply_halves(), reason="no FBGEMM in this PyTorch")


@pytest.mark.parametrize("rows", [(10,), (1,), (0,), (2, 10), (3, 40)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["none", "gelu", "relu"])
def test_a_layer_in_float16_is_the_layer(
    rows: tuple[int, ...], activation: Activation, *, bias: bool
) -> None:
    plain = nn.Linear(48, 80, bias=bias)
    with torch.inference_mode():
        plain.weight.copy_(plain.weight.half())
        made = HalfLinear(48, 80, bias=bias, activation=activation)
        made.fill(plain.weight, plain.bias)
        x = torch.randn(*rows, 48)
        expected = plain(x)
        if activation != "none":
            expected = getattr(torch.nn.functional, activation)(expected)
        torch.testing.assert_close(made(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("precision", "stays"), [("fp16", True), ("bf16", False), ("fp32", False)])
def test_weights_stay_in_float16_where_they_were_stored_so(
    precision: Any, tmp_path: Path, *, stays: bool
) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "tiny", precision=precision)
    engine = open_packed(open_checkpoint(tmp_path / "tiny"), CPU)
    halves = [m for m in engine._network.modules() if isinstance(m, HalfLinear)]
    assert bool(halves) == isinstance(engine._head, HalfLinear) == stays
    assert not any(isinstance(m, nn.Linear) for m in engine._network.modules())
