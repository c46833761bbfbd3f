"""A layer in eight bits is the layer but for rounding, and a row never depends on the others."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from openmmb.checkpoint import Checkpoint
from openmmb.data.encode import EncodeConfig
from openmmb.engine.int8 import FineInt8Linear, Int8Linear, can_multiply_bytes, open_int8
from openmmb.model.linear import Activation
from tests.build import tiny_checkpoint, tiny_tokenizer
from tests.model.causal import SMOL, network

CPU = torch.device("cpu")
needs_vnni = pytest.mark.skipif(
    not can_multiply_bytes(CPU), reason="this processor does not multiply bytes"
)


def layer_of(outputs: int, inputs: int, *, bias: bool = True) -> nn.Linear:
    torch.manual_seed(outputs + inputs)
    return nn.Linear(inputs, outputs, bias=bias)


def in_bytes(
    layer: nn.Linear, activation: Activation = "none", *, kind: type[Int8Linear] = Int8Linear
) -> Int8Linear:
    bias = layer.bias is not None
    made = kind(layer.in_features, layer.out_features, bias=bias, activation=activation)
    made.fill(layer.weight, layer.bias)
    return made


def steps(x: Tensor) -> Tensor:
    """Return the size of each row's 255 steps."""
    return x.abs().amax(-1, keepdim=True).clamp_min(1e-30) / 127


@needs_vnni
@given(
    outputs=st.integers(1, 70),
    inputs=st.integers(1, 70),
    rows=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    bias=st.booleans(),
)
def test_a_layer_in_eight_bits_is_the_layer_of_rounded_numbers(
    outputs: int, inputs: int, rows: list[int], *, bias: bool
) -> None:
    layer = layer_of(outputs, inputs, bias=bias)
    x = torch.randn(*rows, inputs)
    with torch.inference_mode():
        found = in_bytes(layer)(x)
        assert found.dtype == torch.float32
        by_weight, by_row = steps(layer.weight), steps(x)
        whole = torch.round(layer.weight / by_weight)
        sums = torch.floor(x / by_row + 0.5) @ whole.T
        expected = sums * by_row * by_weight[:, 0] + (layer.bias if bias else 0)
        # A number in the middle between two steps may go either way.
        one_step = (by_row * layer.weight.abs().max() * 1.01).clamp_min(1e-5)
        assert ((found - expected).abs() <= one_step).all()
        torch.testing.assert_close(found, layer(x), rtol=0, atol=0.1)


@needs_vnni
@given(
    rows=st.integers(1, 90),
    outputs=st.sampled_from([5, 64, 96]),
    inputs=st.sampled_from([7, 32, 80]),
    activation=st.sampled_from(["none", "gelu", "relu"]),
    kind=st.sampled_from([Int8Linear, FineInt8Linear]),
    data=st.data(),
)
def test_a_row_is_the_same_to_the_bit_in_any_company(
    rows: int,
    outputs: int,
    inputs: int,
    activation: Activation,
    kind: type[Int8Linear],
    data: st.DataObject,
) -> None:
    layer = in_bytes(layer_of(outputs, inputs), activation, kind=kind)
    x = torch.randn(rows, inputs) * torch.logspace(-3, 3, rows)[:, None]
    start = data.draw(st.integers(0, rows - 1))
    end = data.draw(st.integers(start + 1, rows))
    with torch.inference_mode():
        assert layer(x[start:end]).equal(layer(x)[start:end])


@needs_vnni
def test_an_outlier_costs_only_its_own_row() -> None:
    layer, x = layer_of(64, 64), torch.randn(3, 64)
    x[1, 5] = 1000
    with torch.inference_mode():
        wrong = (in_bytes(layer)(x) - layer(x)).abs().amax(-1)
    assert wrong[[0, 2]].max() < 0.1 < wrong[1]


@needs_vnni
@pytest.mark.parametrize("rows", [(10,), (2, 5), (0,)])
@pytest.mark.parametrize("bias", [True, False])
def test_two_bytes_an_activation_leave_only_the_rounding_of_weights(
    rows: tuple[int, ...], *, bias: bool
) -> None:
    layer, x = layer_of(64, 96, bias=bias), torch.randn(*rows, 96)
    x[..., 5] = 100
    with torch.inference_mode():
        made = in_bytes(layer, kind=FineInt8Linear)
        found = made(x)
        by_weight = steps(layer.weight)
        layer.weight.copy_(torch.round(layer.weight / by_weight) * by_weight)
        torch.testing.assert_close(found, layer(x), rtol=0, atol=0.01)


@needs_vnni
def test_two_bytes_are_for_decoder_only_networks() -> None:
    config = replace(
        tiny_checkpoint().config,
        model=SMOL,
        encode=EncodeConfig(max_context=8, max_pinned=4, max_reply=8),
    )
    causal = Checkpoint(config=config, model=network(SMOL), tokenizer=tiny_tokenizer())
    for made, kind in ((causal, FineInt8Linear), (tiny_checkpoint(), Int8Linear)):
        layers = [m for m in open_int8(made, CPU)._network.modules() if isinstance(m, Int8Linear)]
        assert {type(layer) for layer in layers} == {kind}


@needs_vnni
@pytest.mark.parametrize("kind", [Int8Linear, FineInt8Linear])
@pytest.mark.parametrize("size", [0.0, 1e-38, 1e38])
def test_rows_of_any_size_give_numbers(size: float, kind: type[Int8Linear]) -> None:
    layer = in_bytes(layer_of(8, 16), kind=kind)
    with torch.inference_mode():
        assert layer(torch.full((2, 16), size)).isfinite().all()


@needs_vnni
@pytest.mark.parametrize("kind", [Int8Linear, FineInt8Linear])
def test_what_is_no_number_stays_none(kind: type[Int8Linear]) -> None:
    layer, x = in_bytes(layer_of(8, 16), kind=kind), torch.ones(3, 16)
    x[0, 3], x[1, 3] = torch.nan, torch.inf
    with torch.inference_mode():
        found = layer(x).isfinite().all(-1)
    assert found.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("features", "wanted"),
    [
        ({"avx512_vnni": True}, True),
        ({"avx512_vnni": False, "avx_vnni": True}, True),
        ({"avx2": True, "avx512_f": True}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_bytes_are_for_processors_that_multiply_them(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, object], *, wanted: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    monkeypatch.setattr(torch._C, "_has_mkldnn", True)
    assert can_multiply_bytes(CPU) == wanted
    assert not can_multiply_bytes(torch.device("meta"))


@pytest.mark.parametrize("wanted", [True, False])
def test_an_older_pytorch_knows_avx_512s(monkeypatch: pytest.MonkeyPatch, *, wanted: bool) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: wanted)
    monkeypatch.setattr(torch._C, "_has_mkldnn", True)
    assert can_multiply_bytes(CPU) == wanted
