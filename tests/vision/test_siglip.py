"""SigLIP's vectors are those of ``transformers``, from a folder as it is published, offline."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from openmmb.errors import CheckpointError, ConfigError
from openmmb.vision.encoders import open_encoder
from openmmb.vision.siglip import load_siglip
from tests.hub_server import serve

transformers: Any = pytest.importorskip("transformers")
huggingface_hub: Any = pytest.importorskip("huggingface_hub")

SIDE, PATCH, NUM_PATCHES, WIDTH = 24, 8, 9, 32
"""Of the tiny network: 3 x 3 patches."""


@pytest.fixture(scope="module")
def model() -> Any:
    """Return a SigLIP of random weights, both towers."""
    sizes = {"hidden_size": WIDTH, "intermediate_size": 40, "num_attention_heads": 2}
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "vocab_size": 32000}
    config = transformers.SiglipConfig(
        vision_config={**sizes, "num_hidden_layers": 2, "image_size": SIDE, "patch_size": PATCH},
        text_config={**sizes, **ids, "num_hidden_layers": 1, "max_position_embeddings": 4},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transformers.SiglipModel(config).eval()


@pytest.fixture(scope="module")
def published(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return its folder, as ``transformers`` writes it."""
    folder = tmp_path_factory.mktemp("siglip")
    model.save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    transformers.SiglipImageProcessorPil(size=size, resample=2).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder to change."""
    return shutil.copytree(published, tmp_path / "siglip")


def edit(path: Path, key: str, value: object) -> None:
    """Set ``key`` of a JSON file, ``vision_config.key`` of an object in it."""
    data = json.loads(path.read_text())
    *outer, last = key.split(".")
    (data[outer[0]] if outer else data)[last] = value
    path.write_text(json.dumps(data))


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def plain(image: Image.Image) -> Tensor:
    """What the preprocessing does to one picture, step by step."""
    square = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float32)
    return torch.from_numpy((square / 255 - 0.5) / 0.5).permute(2, 0, 1)


def test_vectors_are_those_of_the_whole_model(model: Any, published: Path):
    images = [noise(50, 31), noise(24, 24, 1), noise(3, 90, 2)]
    encoder = open_encoder("siglip2", weights=published)
    assert (encoder.name, encoder.num_vectors, encoder.feature_dim) == (
        "siglip2",
        NUM_PATCHES,
        WIDTH,
    )
    with torch.inference_mode():
        pixels = torch.stack([plain(image) for image in images])
        expected = model.vision_model(pixels).last_hidden_state
    vectors = encoder.encode(images)
    assert vectors.shape == (3, NUM_PATCHES, WIDTH)
    torch.testing.assert_close(vectors, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(encoder.encode(images[1:2])[0], vectors[1], atol=1e-5, rtol=1e-5)


def test_the_preprocessing_is_what_its_file_says(folder: Path):
    images = [noise(50, 31), noise(24, 24, 1)]
    tower = load_siglip(folder)
    twin = torch.stack([plain(image) for image in images])
    torch.testing.assert_close(tower.preprocess(images), twin, atol=1e-6, rtol=0)
    edit(folder / "preprocessor_config.json", "resample", 3)
    assert not torch.equal(load_siglip(folder).preprocess(images), tower.preprocess(images))


def test_weights_in_several_files_are_the_same(published: Path, folder: Path):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    for number, part in enumerate((names[::2], names[1::2])):
        save_file({n: weights[n] for n in part}, folder / f"model-0000{number}.safetensors")
    image = noise(50, 31)
    whole, parts = (open_encoder("siglip2", weights=path) for path in (published, folder))
    assert torch.equal(whole.encode([image]), parts.encode([image]))


def test_the_fingerprint_follows_weights_and_preprocessing(published: Path, folder: Path):
    before = open_encoder("siglip2", weights=published).fingerprint
    assert open_encoder("siglip2", weights=folder).fingerprint == before
    edit(folder / "preprocessor_config.json", "resample", 3)
    resampled = open_encoder("siglip2", weights=folder).fingerprint
    weights = load_file(folder / "model.safetensors")
    weights["vision_model.post_layernorm.bias"] += 1
    save_file(weights, folder / "model.safetensors")
    retrained = open_encoder("siglip2", weights=folder).fingerprint
    assert len({before, resampled, retrained}) == 3


def test_nothing_is_said_while_opening(published: Path, capfd: pytest.CaptureFixture[str]):
    load_siglip(published)
    assert capfd.readouterr() == ("", "")


def test_without_transformers_the_extra_is_named(published: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"needs transformers: pip install 'openmmb\[siglip\]'$"):
        load_siglip(published)


def test_a_wrong_folder_is_named(tmp_path: Path, published: Path):
    with pytest.raises(
        CheckpointError, match=r"none: no such folder; expected a folder, .* google/siglip2-base"
    ):
        load_siglip(tmp_path / "none")
    with pytest.raises(CheckpointError, match=r"config\.json: is a file; expected a folder"):
        load_siglip(published / "config.json")
    with pytest.raises(CheckpointError, match=r"config\.json: No such file or directory$"):
        load_siglip(tmp_path)


def test_a_folder_that_lacks_a_file_is_refused(folder: Path):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"no \*\.safetensors; pickled weights are not read$"):
        load_siglip(folder)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json: No such file"):
        load_siglip(folder)


@pytest.mark.parametrize("kind", ["siglip2", "clip", None])
def test_another_network_is_refused(folder: Path, kind: str | None):
    edit(folder / "config.json", "model_type", kind)
    with pytest.raises(
        CheckpointError, match=rf"model_type is {kind!r}, expected 'siglip', as of goo"
    ):
        load_siglip(folder)


def test_files_that_are_no_json_objects_are_refused(folder: Path):
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json: expected JSON: "):
        load_siglip(folder)
    (folder / "config.json").write_text("[1]")
    with pytest.raises(CheckpointError, match=r"config\.json: holds a list, expected an object"):
        load_siglip(folder)


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("config.json", "vision_config.hidden_size", 64),
        ("config.json", "vision_config.hidden_size", "wide"),
        ("config.json", "vision_config.num_attention_heads", 0),
        ("config.json", "vision_config.num_hidden_layers", 3),
        ("config.json", "vision_config.image_size", [24, 24]),
        ("config.json", "vision_config.hidden_act", "none"),
        ("preprocessor_config.json", "size", {"height": 32, "width": 32}),
        ("preprocessor_config.json", "size", {"shortest_edge": 24}),
        ("preprocessor_config.json", "image_mean", [0.5]),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(
    folder: Path, file: str, key: str, value: object
):
    edit(folder / file, key, value)
    with pytest.raises(CheckpointError, match="siglip: not a SigLIP as published: ") as caught:
        load_siglip(folder)
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_are_refused_in_one_line(folder: Path):
    weights = load_file(folder / "model.safetensors")
    del weights["vision_model.post_layernorm.bias"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"Missing key.*post_layernorm\.bias"):
        load_siglip(folder)
    (folder / "model.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(CheckpointError, match="not a SigLIP as published: ") as caught:
        load_siglip(folder)
    assert "\n" not in str(caught.value)


def test_code_in_a_folder_is_not_run(folder: Path):
    (folder / "processing.py").write_text("raise SystemExit")
    for file in ("config.json", "preprocessor_config.json"):
        edit(folder / file, "auto_map", {"AutoImageProcessor": "processing.Processor"})
    assert load_siglip(folder).num_vectors == NUM_PATCHES


def test_it_comes_from_the_hub_once(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with serve(monkeypatch, tmp_path / "cache") as server:
        server.add("google/siglip2-tiny", published)
        server.models["google/siglip2-tiny"]["pytorch_model.bin"] = b"code"
        assert load_siglip("google/siglip2-tiny").num_vectors == NUM_PATCHES
        assert server.downloaded() == {
            "config.json",
            "model.safetensors",
            "preprocessor_config.json",
        }
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        assert load_siglip("google/siglip2-tiny").num_vectors == NUM_PATCHES


def test_without_a_network_the_name_is_said():
    with pytest.raises(
        CheckpointError,
        match=r"^google/siglip2-tiny: no such folder here, and the Hugging Face",
    ) as caught:
        load_siglip("google/siglip2-tiny")
    assert "\n" not in str(caught.value)
