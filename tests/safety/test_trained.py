"""A classifier's folder holds all of it, and a damaged one is named in one line."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file, save_file

from openmmb.checkpoint import DTYPES, Precision
from openmmb.config import dump
from openmmb.errors import CheckpointError
from openmmb.safety.reading import ReadConfig
from openmmb.safety.trained import ClassifierConfig, load_classifier, save_classifier
from openmmb.text.wordpiece import SPECIALS, WordPieces
from tests.safety.build import tiny_classifier


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_classifier(tiny_classifier(), tmp_path / "made", precision="fp32")
    return tmp_path / "made"


def test_loading_inverts_saving(folder: Path) -> None:
    made, loaded = tiny_classifier(), load_classifier(folder)
    assert loaded.config == made.config
    assert loaded.tokenizer.to_json() == made.tokenizer.to_json()
    weights = loaded.model.state_dict()
    assert all(weights[name].equal(w) for name, w in made.model.state_dict().items())
    assert not loaded.model.training


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_weights_are_stored_as_asked_and_used_in_fp32(precision: Precision, folder: Path) -> None:
    save_classifier(tiny_classifier(seed=1), folder, precision=precision)
    stored = load_file(folder / "model.safetensors")
    assert {weight.dtype for weight in stored.values()} == {DTYPES[precision]}
    used = load_classifier(folder).model.state_dict()
    assert {weight.dtype for weight in used.values()} == {torch.float32}


def test_weights_of_a_byte_are_close_and_as_small_as_that(folder: Path, tmp_path: Path) -> None:
    made = tiny_classifier()
    save_classifier(made, tmp_path / "compact", precision="int8")
    loaded = load_classifier(tmp_path / "compact")
    assert loaded.config == made.config
    for name, weight in made.model.state_dict().items():
        step = weight.abs().max() / 127
        assert (loaded.model.state_dict()[name] - weight).abs().max() <= step / 2 + 1e-6
    sizes = [(path / "model.safetensors").stat().st_size for path in (tmp_path / "compact", folder)]
    assert sizes[0] < sizes[1] / 2


def test_weights_of_a_byte_need_their_scales(tmp_path: Path) -> None:
    save_classifier(tiny_classifier(), tmp_path / "compact", precision="int8")
    path = tmp_path / "compact" / "model.safetensors"
    weights = load_file(path)
    weights["head.weight.row_scale"] = torch.ones(7)
    save_file(weights, path)
    with pytest.raises(CheckpointError, match=r"head\.weight: expected bytes and a scale"):
        load_classifier(tmp_path / "compact")
    weights["head.weight.row_scale"] = torch.full((3,), float("nan"))
    save_file(weights, path)
    with pytest.raises(CheckpointError, match=r"head\.weight: expected finite weights"):
        load_classifier(tmp_path / "compact")


def test_a_vocabulary_of_word_pieces_is_read(tmp_path: Path) -> None:
    made = tiny_classifier()
    pieces = WordPieces([*SPECIALS, "a", "b"])
    save_classifier(replace(made, tokenizer=pieces), tmp_path / "pieces", precision="fp32")
    read = load_classifier(tmp_path / "pieces").tokenizer
    assert isinstance(read, WordPieces)
    assert read.pieces == pieces.pieces


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": {"bot": {"rude": 0.5}}}, r"thresholds\.bot: no label 'rude'"),
        ({"thresholds": {"bot": {"insult": 0.0}}}, r"thresholds\.bot\.insult must be above 0"),
        ({"thresholds": {"bot": {"insult": 0.5}}, "exclusive": True}, "thresholds must be left"),
        ({"sorrow": "grief"}, "sorrow: no label 'grief'"),
    ],
)
def test_thresholds_that_fit_no_label_are_refused(changes: dict[str, object], message: str) -> None:
    config = replace(tiny_classifier().config, exclusive=False)
    with pytest.raises(ValueError, match=message):
        replace(config, **changes)  # type: ignore[arg-type]


def overwrite(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def change_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["head.bias"] = torch.zeros(4)
    save_file(weights, folder / "model.safetensors")


def rename_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["tail.bias"] = weights.pop("head.bias")
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "made: no such folder; a classifier is a folder with config.toml"),
        (lambda folder: (folder / "config.toml").unlink(), "no config.toml; is it the folder of"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors"),
        (overwrite("config.toml", "name ="), "config.toml: expected TOML"),
        (overwrite("config.toml", "nane = 'a'"), "nane: no key 'nane'; did you mean 'name'"),
        (overwrite("tokenizer.json", "{}"), "tokenizer.json: not a tokenizer"),
        (overwrite("model.safetensors", "none"), "model.safetensors: not safetensors"),
        (change_weights, r"head.bias is \(4,\), expected \(3,\) for the model of config.toml"),
        (rename_weights, "lacks head.bias and has unknown tail.bias for the model of config.toml"),
    ],
)
def test_damage_is_named(damage: Callable[[Path], object], message: str, folder: Path) -> None:
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as error:
        load_classifier(folder)
    assert "\n" not in str(error.value) or "nane" in message


def test_a_vocabulary_larger_than_the_network_is_refused(folder: Path) -> None:
    config = tiny_classifier().config
    small = replace(config, shape=replace(config.shape, vocab_size=10))
    overwrite("config.toml", dump(small))(folder)
    with pytest.raises(
        CheckpointError, match=r"but the model of config\.toml has a vocabulary of 10"
    ):
        load_classifier(folder)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="not a folder; a classifier is a folder"):
        load_classifier(tmp_path / "file")
    with pytest.raises(CheckpointError, match="is a file; expected a folder, or nothing"):
        save_classifier(tiny_classifier(), tmp_path / "file", precision="fp32")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_folder_of_somebodys_is_not_replaced(
    precision: Literal["fp32", "int8"], tmp_path: Path
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"is not a checkpoint, and holds 'thesis\.txt'"):
        save_classifier(tiny_classifier(), tmp_path / "thesis", precision=precision)
    for _ in range(2):
        save_classifier(tiny_classifier(), tmp_path / "made", precision=precision)
        (tmp_path / "made" / "notes.txt").write_text("mine")
    assert (tmp_path / "made" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("a", "b")}, r"labels \(a, b\) must be as many as shape.num_labels \(3\)"),
        ({"labels": ("a", "b", "a")}, "each once"),
        ({"unsafe": ("rude",)}, r"unsafe \(rude\) must be a few of labels, not all \(safe, "),
        ({"unsafe": ()}, r"unsafe \(\) must be a few of labels"),
        ({"unsafe": ("safe", "insult", "threat")}, "not all"),
        ({"threshold": 0.0}, "threshold must be above 0 and at most 1, got 0.0"),
        (
            {"read": ReadConfig(max_tokens=20, max_context=8)},
            r"read: 28 tokens must be at most shape.num_positions \(24\)",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    config: ClassifierConfig = tiny_classifier().config
    with pytest.raises(ValueError, match=message):
        replace(config, **changes)  # type: ignore[arg-type]
