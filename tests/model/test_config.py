"""A shape that no network can have is refused by name; the published sizes have their weights."""

import dataclasses
import tomllib

import pytest
import torch

from openmmb.config import dump, parse
from openmmb.errors import ConfigError
from openmmb.model.config import SIZES, ModelConfig
from openmmb.model.seq2seq import Seq2Seq

IMAGE_PARTS = ("encoder.image_projector.", "encoder.segments.")


COUNTS = [
    field.name
    for field in dataclasses.fields(ModelConfig)
    if field.type is int or field.type == "int"
]


@pytest.mark.parametrize("name", [name for name in COUNTS if name != "num_segments"])
@pytest.mark.parametrize("value", [0, 2**20 + 1, 10**30])
def test_a_count_below_one_or_beyond_every_network_is_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"config: {name} must be from 1 to \d+, got {value}"):
        parse(ModelConfig, {name: value})


def test_a_network_of_thousands_of_layers_is_refused_before_it_is_built() -> None:
    for name in ("num_encoder_layers", "num_decoder_layers", "image_layers"):
        with pytest.raises(ConfigError, match=f"{name} must be from 1 to 1000, got 200000"):
            parse(ModelConfig, {name: 200_000})


@pytest.mark.parametrize("name", ["dropout", "attention_dropout", "activation_dropout"])
@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_a_dropout_that_is_no_probability_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be at least 0 and below 1, got {value}"):
        parse(ModelConfig, {name: value})


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"embed_dim \(10\) must be a multiple of num_heads \(3\)"):
        ModelConfig(embed_dim=10, num_heads=3)


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_there_are_two_segments_or_none(fusion: str) -> None:
    with pytest.raises(ConfigError, match="num_segments must be 0 or 2, got 1"):
        parse(ModelConfig, {"fusion": fusion, "num_segments": 1})


def test_only_late_fusion_makes_several_states_of_an_image_vector() -> None:
    assert parse(ModelConfig, {"fusion": "late", "image_tokens": 3}).image_tokens == 3
    with pytest.raises(ConfigError, match=r"image_tokens \(3\) must be 1 where fusion is 'early'"):
        parse(ModelConfig, {"fusion": "early", "image_tokens": 3})


@pytest.mark.parametrize("name", SIZES)
def test_sizes_survive_toml(name: str) -> None:
    assert parse(ModelConfig, tomllib.loads(dump(SIZES[name]))) == SIZES[name]


def weights(name: str) -> dict[str, torch.nn.Parameter]:
    with torch.device("meta"):
        return dict(Seq2Seq(SIZES[name]).named_parameters())


def test_multi_modal_blenderbot_has_its_published_weights() -> None:
    """ParlAI reports 2,696,268,800 for BlenderBot 2.7B, 2,695,613,440 of them trainable.

    MMB adds a linear layer of 2048 x 2560 with bias and two segments.
    """
    found = weights("2.7B")
    assert sum(w.numel() for w in found.values()) == 2_696_268_800 + 5_245_440 + 5_120
    assert sum(w.numel() for w in found.values() if w.requires_grad) == 2_700_864_000


@pytest.mark.parametrize(("name", "published"), [("90M", 87_508_992), ("400M", 364_802_560)])
def test_a_blenderbot_without_picture_input_has_its_published_weights(
    name: str, published: int
) -> None:
    """Of ParlAI's ``blender_90M`` and of Hugging Face's ``blenderbot-400M-distill``."""
    found = weights(name)
    text = [w for key, w in found.items() if not key.startswith(IMAGE_PARTS)]
    assert sum(w.numel() for w in text) == published
