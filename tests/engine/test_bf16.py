"""A layer in bfloat16 rounds what it multiplies; everything around it stays in float32."""

import pytest
import torch
from torch import nn

from openmmb.engine.bf16 import Bf16Linear, can_multiply_bf16, open_bf16
from openmmb.engine.plain import NetworkEngine
from openmmb.model.linear import Activation
from tests.build import tiny_checkpoint

CPU = torch.device("cpu")

needs_bf16 = pytest.mark.skipif(
    not can_multiply_bf16(CPU), reason="this processor does not multiply bfloat16"
)


@needs_bf16
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


@needs_bf16
def test_logits_and_all_that_is_between_products_are_in_float32() -> None:
    engine: NetworkEngine = open_bf16(tiny_checkpoint(), CPU)
    kept = engine._network.state_dict()
    assert {tensor.dtype for tensor in kept.values()} == {torch.float32}
    context = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        logits = engine.logits(engine(context, context > 0, None, None, context, 1))
    assert logits.dtype == torch.float32
    assert not logits.equal(logits.bfloat16().float())


@needs_bf16
@pytest.mark.parametrize(
    ("features", "wanted"),
    [
        ({"architecture": "x86_64", "avx512_bf16": True}, True),
        ({"architecture": "x86_64", "amx_bf16": True}, True),
        ({"architecture": "x86_64", "avx512_f": True}, False),
        ({"architecture": "aarch64"}, True),
    ],
)
def test_a_processor_that_would_emulate_it_counts_as_none(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, object], *, wanted: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    assert can_multiply_bf16(CPU) == wanted
    assert not can_multiply_bf16(torch.device("meta"))


@needs_bf16
@pytest.mark.parametrize("wanted", [True, False])
def test_an_older_pytorch_knows_avx_512s(monkeypatch: pytest.MonkeyPatch, *, wanted: bool) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: wanted)
    assert can_multiply_bf16(CPU) == wanted
