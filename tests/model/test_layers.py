"""Positions are ParlAI's, and what a layer does with a row does not depend on its neighbours."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from openmmb.model.config import Variant
from openmmb.model.initial import initialise
from openmmb.model.layers import DecoderLayer, EncoderLayer, Positions, sinusoids
from tests.build import tiny_config

PARLAI = Path(__file__).parent / "data" / "parlai.safetensors"
VARIANTS: tuple[Variant, ...] = ("prelayernorm", "xlm", "aiayn", "bart")


def test_sinusoids_are_those_of_parlai() -> None:
    stored = load_file(PARLAI)["early.weights.encoder.positions.weight"]
    torch.testing.assert_close(sinusoids(*stored.shape), stored, atol=1e-6, rtol=0)


def test_sinusoids_equal_the_formula() -> None:
    table = sinusoids(50, 6)
    for place in range(50):
        for column in range(6):
            angle = place / 10000 ** (column // 2 * 2 / 6)
            wanted = math.cos(angle) if column % 2 else math.sin(angle)
            assert table[place, column].item() == pytest.approx(wanted, abs=1e-6)


def test_fixed_positions_are_stored_but_not_trained() -> None:
    positions = initialise(Positions(tiny_config()))
    assert "weight" in positions.state_dict()
    assert not positions.weight.requires_grad
    assert positions.weight.equal(sinusoids(64, 16))


def test_learned_positions_are_trained() -> None:
    positions = initialise(Positions(tiny_config(learned_positions=True)))
    assert positions.weight.requires_grad
    assert positions.weight.std().item() == pytest.approx(16**-0.5, rel=0.1)


def test_positions_end() -> None:
    positions = initialise(Positions(tiny_config(num_positions=5)))
    assert positions(2, 3).equal(positions.weight[2:5])
    with pytest.raises(ValueError, match="6 tokens, but the network has 5 positions"):
        positions(3, 3)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_encoder_layer_ignores_what_is_masked(variant: Variant) -> None:
    layer = initialise(EncoderLayer(tiny_config(variant=variant))).eval()
    x = torch.randn(1, 4, 16)
    mask = torch.tensor([True, True, True, False])[None, None, None]
    changed = x.clone()
    changed[:, 3] = 9.0
    torch.testing.assert_close(layer(x, mask)[:, :3], layer(changed, mask)[:, :3])


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_decoder_layer_ignores_what_comes_later(variant: Variant) -> None:
    layer = initialise(DecoderLayer(tiny_config(variant=variant))).eval()
    x, states = torch.randn(1, 4, 16), torch.randn(1, 3, 16)
    mask = torch.ones(1, 1, 1, 3, dtype=torch.bool)
    changed = x.clone()
    changed[:, 3] = 9.0
    torch.testing.assert_close(layer(x, states, mask)[:, :3], layer(changed, states, mask)[:, :3])
