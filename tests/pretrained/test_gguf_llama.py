"""A network comes back from a GGUF file as it went in, whichever family it is of."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from gguf import GGMLQuantizationType
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.model.causal import CausalLM
from openmmb.model.causal_config import CausalConfig, RotaryScaling
from openmmb.pretrained.gguf_file import GgufFile
from openmmb.pretrained.gguf_llama import read_gguf_shape, read_gguf_weights
from tests.model.causal import FEATURES, SHAPES, VECTORS
from tests.pretrained.build import ARCHITECTURES, wide, write_gguf


def text_weights(model: CausalLM) -> dict[str, Tensor]:
    return {n: w for n, w in model.state_dict().items() if not n.startswith("image_")}


def read(path: Path) -> tuple[CausalConfig, dict[str, Tensor]]:
    with GgufFile(path) as file:
        shape = read_gguf_shape(file, image_vectors=VECTORS, image_dim=FEATURES)
        with torch.device("meta"):
            wanted = {n: w.shape for n, w in text_weights(CausalLM(shape)).items()}
        readers = read_gguf_weights(file, shape, wanted)
        return shape, {name: reader() for name, reader in readers.items()}


@pytest.mark.parametrize("name", SHAPES)
def test_shape_and_weights_come_back(tmp_path: Path, name: str) -> None:
    model = wide(name)
    if model.config.rotary_scaling is not None:  # a file says only what comes of Llama 3's own
        model.config = replace(model.config, rotary_scaling=RotaryScaling(factor=32.0))
    write_gguf(tmp_path / "a.gguf", model, ARCHITECTURES[name])
    shape, weights = read(tmp_path / "a.gguf")
    assert shape == model.config
    assert weights.keys() == text_weights(model).keys()
    assert all(weights[key].equal(weight) for key, weight in text_weights(model).items())


@pytest.mark.parametrize("kind", [GGMLQuantizationType.Q4_1, GGMLQuantizationType.BF16])
def test_quantised_weights_are_those_of_the_package(
    tmp_path: Path, kind: GGMLQuantizationType
) -> None:
    model = wide("qwen3")
    write_gguf(tmp_path / "a.gguf", model, "qwen3", kind=kind)
    _, weights = read(tmp_path / "a.gguf")
    name = "layers.0.ffn.narrow.weight"
    stored = gguf.quantize(model.state_dict()[name].numpy(), kind)
    assert weights[name].equal(torch.from_numpy(gguf.dequantize(stored, kind)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"block_count": 10**9}, "num_layers: .*must be from 1 to 1000|num_layers must be from 1"),
        ({"block_count": 5}, "no tensor blk.3.attn_norm.weight"),
        ({"block_count": 2}, "unknown tensor blk.2.attn_k.weight; expected 2 layers"),
        ({"feed_forward_length": 10**9}, "ffn_dim must be from 1 to 1048576"),
        ({"feed_forward_length": 95}, r"expected \(190, 64\) together"),
        ({"attention.head_count": 0}, "attention.head_count is 0, expected 1 or more"),
        ({"attention.head_count_kv": 3}, "num_heads .8. must be a multiple of num_kv_heads .3."),
        ({"attention.head_count": "eight"}, "attention.head_count is a str, expected int"),
        ({"attention.key_length": 6}, "dimension_count is 8; expected 6, the width of a head"),
        ({"rope.scaling.type": "yarn"}, "rope.scaling.type is 'yarn'; expected 'none'"),
    ],
)
def test_a_file_that_does_not_fit_itself_gets_one_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "a.gguf"
    write_gguf(path, wide("smollm2"), "llama", change=change)
    with pytest.raises(CheckpointError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf", wide("smollm2"), "gemma3")
    with pytest.raises(CheckpointError, match="is 'gemma3'; expected llama, qwen2, qwen3"):
        read(tmp_path / "a.gguf")


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf", wide("smollm2"), "llama", without="token_embd.weight")
    with pytest.raises(CheckpointError, match=r"no tensor token_embd\.weight"):
        read(tmp_path / "a.gguf")


def test_another_scaling_of_positions_is_refused(tmp_path: Path) -> None:
    model = wide("llama3")
    model.config = replace(model.config, rotary_scaling=RotaryScaling(high_freq_factor=40.0))
    write_gguf(tmp_path / "a.gguf", model, "llama")
    with pytest.raises(CheckpointError, match="is not Llama 3's scaling"):
        read(tmp_path / "a.gguf")
