"""A layer in panels is the layer, whatever its size, and may write into the same memory again."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from openmmb.engine.panels import PANEL, PanelLinear, share_memory
from openmmb.model.linear import Activation


def layer_of(outputs: int, inputs: int, *, bias: bool = True) -> nn.Linear:
    torch.manual_seed(outputs + inputs)
    return nn.Linear(inputs, outputs, bias=bias)


def in_panels(layer: nn.Linear, activation: Activation = "none") -> PanelLinear:
    bias = layer.bias is not None
    panels = PanelLinear(layer.in_features, layer.out_features, bias=bias, activation=activation)
    panels.fill(layer.weight, layer.bias)
    return panels


@given(
    outputs=st.integers(1, 3 * PANEL + 1),
    inputs=st.integers(1, 40),
    rows=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    bias=st.booleans(),
)
def test_a_layer_in_panels_is_the_layer(
    outputs: int, inputs: int, rows: list[int], *, bias: bool
) -> None:
    layer = layer_of(outputs, inputs, bias=bias)
    x = torch.randn(*rows, inputs)
    with torch.inference_mode():
        found = in_panels(layer)(x)
        torch.testing.assert_close(found, layer(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("outputs", [2 * PANEL, 2 * PANEL + 5])
def test_buffers_are_used_again(outputs: int) -> None:
    layer = layer_of(outputs, 16)
    panels = in_panels(layer)
    buffers = panels.allocate(6)
    with torch.inference_mode():
        for _ in range(2):
            x = torch.randn(2, 3, 16)
            found = panels(x, buffers)
            assert found.data_ptr() == buffers.outputs.data_ptr()
            torch.testing.assert_close(found, layer(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_an_activation_is_the_activation(activation: Activation) -> None:
    layer, x = layer_of(PANEL + 5, 16), 3 * torch.randn(10, 16)
    with torch.inference_mode():
        expected = getattr(torch.nn.functional, activation)(layer(x))
        torch.testing.assert_close(in_panels(layer, activation)(x), expected, rtol=0, atol=1e-5)


def test_layers_share_one_piece_of_memory() -> None:
    layers = [layer_of(PANEL, 8), layer_of(PANEL + 1, 8)]
    panels = [PanelLinear(layer.in_features, layer.out_features) for layer in layers]
    share_memory([panels[0], nn.Identity(), panels[1]])
    for layer, packed in zip(layers, panels, strict=True):
        packed.fill(layer.weight, layer.bias)
    ends = panels[0].weight.data_ptr() + panels[0].weight.nbytes
    assert ends == panels[1].weight.data_ptr()
    x = torch.randn(4, 8)
    with torch.inference_mode():
        for layer, packed in zip(layers, panels, strict=True):
            torch.testing.assert_close(packed(x), layer(x), rtol=0, atol=1e-5)


def test_what_fills_the_last_panel_is_zero() -> None:
    layer = layer_of(5, 8)
    panels = PanelLinear(8, 5)
    panels.memory = torch.full((8 * PANEL,), torch.nan)
    panels.fill(layer.weight, layer.bias)
    buffers = panels.allocate(3)
    with torch.inference_mode():
        panels(torch.randn(3, 8), buffers)
    assert buffers.outputs[..., 5:].eq(0).all()
