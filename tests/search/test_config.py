"""A search config has the original's defaults, survives a file, and refuses what cannot work."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmmb.config import dump, parse
from openmmb.errors import ConfigError
from openmmb.search.config import SearchConfig


def test_defaults_are_those_of_the_original() -> None:
    config = SearchConfig()
    assert (config.method, config.beam_size, config.length_penalty) == ("beam", 10, 0.65)
    assert (config.min_length, config.max_length) == (20, 128)
    assert (config.block_ngram, config.block_context_ngram) == (3, 3)


@settings(deadline=None)
@given(
    method=st.sampled_from(["beam", "greedy", "topk", "nucleus", "delayed_beam"]),
    beam_size=st.integers(1, 20),
    top_p=st.floats(0, 1, exclude_min=True),
)
def test_parse_inverts_dump(method: str, beam_size: int, top_p: float) -> None:
    data = {"method": method, "beam_size": beam_size, "top_p": top_p}
    config = parse(SearchConfig, data)
    written = dump(config)
    assert parse(SearchConfig, tomllib.loads(written)) == config


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"beam_size": 0}, "beam_size must be from 1 to 32768, got 0"),
        ({"max_length": 0}, "max_length must be from 1 to 32768, got 0"),
        ({"top_k": 0}, "top_k must be from 1 to 32768, got 0"),
        ({"min_length": -1}, "min_length must be from 0 to 32768, got -1"),
        ({"block_ngram": -1}, "block_ngram must be from 0 to 32768, got -1"),
        ({"block_context_ngram": -1}, "block_context_ngram must be from 0 to 32768, got -1"),
        ({"beam_delay": -1}, "beam_delay must be from 0 to 32768, got -1"),
        ({"length_penalty": -101.0}, "length_penalty must be from -100 to 100, got -101.0"),
        ({"temperature": 0.0}, "temperature must be from 0.0001 to 10000, got 0.0"),
        ({"temperature": float("nan")}, "temperature must be a finite number, got nan"),
        ({"temperature": 1e-30}, "temperature must be from 0.0001 to 10000, got 1e-30"),
        ({"length_penalty": float("inf")}, "length_penalty must be a finite number, got inf"),
        ({"length_penalty": 1e9}, "length_penalty must be from -100 to 100, got 1000000000.0"),
        ({"beam_size": 20_000}, "beam_size is 20000 and max_length is 128; their product must be"),
        ({"max_length": 10**9}, "max_length must be from 1 to 32768, got 1000000000"),
        ({"block_ngram": 10**9}, "block_ngram must be from 0 to 32768, got 1000000000"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, got 0.0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, got 1.1"),
        ({"max_length": 20}, "min_length is 20 and max_length is 20; min_length must be below"),
    ],
)
def test_values_out_of_range_are_refused(data: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(SearchConfig, data)


def test_greedy_has_one_beam_and_no_minimum() -> None:
    assert SearchConfig(method="greedy", max_length=5).num_beams == 1
    assert SearchConfig(beam_size=7).num_beams == 7
