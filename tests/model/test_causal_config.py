"""A shape that no network can have is refused, by name and value."""

import tomllib
from dataclasses import replace

import pytest

from openmmb.config import dump, parse
from openmmb.model.causal_config import CausalConfig, RotaryScaling
from tests.model.causal import SHAPES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_layers": 0}, "num_layers must be from 1 to 1000, got 0"),
        ({"num_layers": 10**9}, "num_layers must be from 1 to 1000, got 1000000000"),
        ({"ffn_dim": 10**9}, "ffn_dim must be from 1 to 1048576, got 1000000000"),
        ({"head_dim": 5}, "head_dim must be even, got 5"),
        ({"rotary_base": 1.0}, "rotary_base must be above 1, got 1.0"),
        ({"norm_eps": 0.0}, "norm_eps must be above 0, got 0.0"),
        ({"num_kv_heads": 2}, r"num_heads \(9\) must be a multiple of num_kv_heads \(2\)"),
    ],
)
def test_an_impossible_shape_is_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CausalConfig(), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factor": 0.5}, "factor must be at least 1, got 0.5"),
        ({"low_freq_factor": 4.0}, "low_freq_factor .4.0. must be above 0 and below high_freq"),
        ({"original_positions": 0}, "original_positions must be from 1 to 1048576, got 0"),
    ],
)
def test_an_impossible_scaling_is_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(RotaryScaling(), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_read_as_it_was_written(name: str) -> None:
    shape = SHAPES[name]
    assert parse(CausalConfig, tomllib.loads(dump(shape))) == shape
