"""A layer in panels is the layer, whatever its size, and may write into the same memory again."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from openmmb.model.panels import PANEL, PanelLinear, huge_pages


def layer_of(outputs: int, inputs: int, *, bias: bool = True) -> nn.Linear:
    torch.manual_seed(outputs + inputs)
    return nn.Linear(inputs, outputs, bias=bias)


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
        found = PanelLinear(layer.weight, layer.bias)(x)
        torch.testing.assert_close(found, layer(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("outputs", [2 * PANEL, 2 * PANEL + 5])
def test_a_room_is_used_again(outputs: int) -> None:
    layer = layer_of(outputs, 16)
    panels = PanelLinear(layer.weight, layer.bias)
    room = panels.room(6)
    with torch.inference_mode():
        for _ in range(2):
            x = torch.randn(2, 3, 16)
            found = panels(x, room)
            assert found.data_ptr() == room.outputs.data_ptr()
            torch.testing.assert_close(found, layer(x), rtol=0, atol=1e-5)


def test_layers_share_one_piece_of_memory() -> None:
    layers = [layer_of(PANEL, 8), layer_of(PANEL + 1, 8)]
    places = torch.split(huge_pages(3 * PANEL * 8), [PANEL * 8, 2 * PANEL * 8])
    panels = [
        PanelLinear(layer.weight, layer.bias, place)
        for layer, place in zip(layers, places, strict=True)
    ]
    x = torch.randn(4, 8)
    with torch.inference_mode():
        for layer, packed in zip(layers, panels, strict=True):
            torch.testing.assert_close(packed(x), layer(x), rtol=0, atol=1e-5)
