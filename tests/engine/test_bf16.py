"""A layer in bfloat16 rounds what it multiplies; everything around it stays in float32."""

import pytest
import torch
from torch import nn

from openmmb.engine.bf16 import Bf16Linear, can_multiply_bf16, open_bf16
from openmmb.engine.plain import NetworkEngine
from openmmb.model.linear import Activation
from tests.build import tiny_checkpoint

CPU = torch.device("cpu")

pytestmark = pytest.mark.skipif(
    not can_multiply_bf16(CPU), reason="this processor does not multiply bfloat16"
)


@pytest.mark.parametrize("rows", [(10,), (1,), (0,), (2, 10), (3, 40)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["none", "gelu", "relu"])
def test_a_layer_in_bfloat16_is_the_layer_of_rounded_numbers(
    rows: tuple[int, ...], activation: Activation, *, bias: bool
) -> None:
    plain = nn.Linear(48, 80, bias=bias)
    made = Bf16Linear(48, 80, bias=bias, activation=activation)
    made.fill(plain.weight, plain.bias)
    x = torch.randn(*rows, 48)
    with torch.inference_mode():
        plain.weight.copy_(plain.weight.bfloat16())
        expected = plain(x.bfloat16().float())
        if activation != "none":
            expected = getattr(torch.nn.functional, activation)(expected)
        found = made(x)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=0.01, atol=0.001)


def test_logits_and_all_that_is_between_products_are_in_float32() -> None:
    engine: NetworkEngine = open_bf16(tiny_checkpoint(), CPU)
    kept = engine._network.state_dict()
    assert {tensor.dtype for tensor in kept.values()} == {torch.float32}
    context = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        logits = engine.logits(engine(context, context > 0, None, None, context, 1))
    assert logits.dtype == torch.float32
    assert not logits.equal(logits.bfloat16().float())
