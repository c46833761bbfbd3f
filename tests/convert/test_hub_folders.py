"""Folders of today's ``transformers``, and names on the hub, convert as published ones do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from openmmb.checkpoint import load_checkpoint
from openmmb.cli import main
from openmmb.convert.bpe import HF_SPECIALS
from openmmb.convert.huggingface import convert, fetch
from openmmb.errors import CheckpointError
from tests.convert.test_huggingface import change_json, published, same, weights_of
from tests.hub_server import serve

TABLE = "model.shared.weight"
COPIES = (
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "lm_head.weight",
)


def today(folder: Path, *, mask: int | None = 592) -> Path:
    """A folder with ``tokenizer.json`` alone, the form that ``transformers`` 5 writes."""
    published(folder)
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    names = dict(enumerate(HF_SPECIALS)) | ({} if mask is None else {mask: "<mask>"})
    whole = {
        "version": "1.0",
        "added_tokens": [
            {"id": at, "content": name, "special": True} for at, name in names.items()
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "vocab": vocabulary,
            "merges": [line.split(" ") for line in lines if not line.startswith("#")],
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    (folder / "vocab.json").unlink()
    (folder / "merges.txt").unlink()
    return folder


def change_tokenizer(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    path = folder / "tokenizer.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    change(whole)
    path.write_text(json.dumps(whole), encoding="utf-8")


def rename(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(change(weights), folder / "model.safetensors")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint that the published folder becomes."""
    folder = tmp_path_factory.mktemp("plain")
    convert(published(folder / "in"), folder / "out")
    return folder / "out"


def test_a_folder_without_vocab_json_is_read_from_tokenizer_json(
    plain: Path, tmp_path: Path
) -> None:
    made = convert(today(tmp_path / "in"), tmp_path / "out")
    assert same(weights_of(tmp_path / "out"), weights_of(plain))
    tokenizer = (tmp_path / "out" / "tokenizer.json").read_text(encoding="utf-8")
    assert tokenizer == (plain / "tokenizer.json").read_text(encoding="utf-8")
    assert made.notes[1:] == ("token <mask>: the model has no row for it; left out",)


def test_an_added_token_that_has_a_row_stands_for_nothing(tmp_path: Path) -> None:
    source = today(tmp_path / "in")
    rename(source, lambda w: w | {TABLE: torch.cat([w[TABLE], w[TABLE][:1]])})
    change_json(source / "config.json", vocab_size=593)
    made = convert(source, tmp_path / "out")
    assert made.notes[1:] == ("token <mask>: stands for nothing here",)
    tokenizer = load_checkpoint(tmp_path / "out").tokenizer
    assert 592 not in tokenizer.encode("<mask>")


def test_merges_may_be_texts_and_specials_may_be_listed_apart(plain: Path, tmp_path: Path) -> None:
    source = today(tmp_path / "in")

    def older(whole: dict[str, object]) -> None:
        model = whole["model"]
        assert isinstance(model, dict)
        model["merges"] = [" ".join(pair) for pair in model["merges"]]
        model["vocab"] = {t: at for t, at in model["vocab"].items() if t not in HF_SPECIALS}

    change_tokenizer(source, older)
    convert(source, tmp_path / "out")
    tokenizer = (tmp_path / "out" / "tokenizer.json").read_text(encoding="utf-8")
    assert tokenizer == (plain / "tokenizer.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.update(model={"type": "BPE"}), r"tokenizer\.json: no model\.vocab; expected"),
        (lambda w: w.update(normalizer={"type": "NFC"}), "has a normalizer; expected none"),
        (
            lambda w: w.update(pre_tokenizer={"type": "Whitespace"}),
            "pre_tokenizer is 'Whitespace'; expected 'ByteLevel'",
        ),
        (
            lambda w: w["pre_tokenizer"].update(add_prefix_space=False),
            "add_prefix_space is false; expected true",
        ),
        (lambda w: w["model"].update(merges=[["a"]]), r"a merge is \['a'\]; expected two tokens"),
        (lambda w: w["model"].update(merges=[]), r"0 merges make 0 of \d+ tokens; are these the"),
    ],
)
def test_a_vocabulary_of_another_kind_is_refused(
    change: Callable[[dict[str, object]], object], message: str, tmp_path: Path
) -> None:
    source = today(tmp_path / "in")
    change_tokenizer(source, change)
    with pytest.raises(CheckpointError, match=message):
        convert(source, tmp_path / "out")


@pytest.mark.parametrize("name", COPIES)
def test_the_shared_table_has_any_of_its_names(name: str, plain: Path, tmp_path: Path) -> None:
    """``safetensors.save_model`` keeps one name of a shared tensor, whichever comes first."""
    source = published(tmp_path / "in")
    rename(source, lambda w: {name if key == TABLE else key: v for key, v in w.items()})
    convert(source, tmp_path / "out")
    assert same(weights_of(tmp_path / "out"), weights_of(plain))


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "base_model.model.", "module._orig_mod.", "model."]
)
def test_what_wraps_a_model_is_taken_off_its_names(
    prefix: str, plain: Path, tmp_path: Path
) -> None:
    source = published(tmp_path / "in")
    rename(source, lambda w: {f"{prefix}{key}": value for key, value in w.items()})
    made = convert(source, tmp_path / "out")
    assert same(weights_of(tmp_path / "out"), weights_of(plain))
    assert made.notes[1].startswith("names: ")


def test_a_model_saved_without_its_head_is_the_same(plain: Path, tmp_path: Path) -> None:
    source = published(tmp_path / "in")
    rename(
        source,
        lambda w: {k.removeprefix("model."): v for k, v in w.items() if k.startswith("model.")},
    )
    convert(source, tmp_path / "out")
    assert same(weights_of(tmp_path / "out"), weights_of(plain))


def test_a_weight_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    source = published(tmp_path / "in")
    rename(source, lambda w: w | {f"module.{TABLE}": w[TABLE].clone()})
    with pytest.raises(CheckpointError, match=rf"{TABLE} is there twice, once as "):
        convert(source, tmp_path / "out")


def test_adapters_without_their_base_are_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"adapters of PEFT without their base; merge them"):
        convert(tmp_path, tmp_path / "out")


def test_what_transformers_writes_today_converts(plain: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    published(tmp_path / "in")
    settings = {
        "tokenizer_class": "BlenderbotTokenizer",
        "add_prefix_space": True,
        **dict(zip(("pad_token", "bos_token", "eos_token", "unk_token"), HF_SPECIALS, strict=True)),
    }
    (tmp_path / "in" / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    model = transformers.BlenderbotForConditionalGeneration.from_pretrained(tmp_path / "in")
    model.save_pretrained(tmp_path / "again", max_shard_size="20KB")
    transformers.AutoTokenizer.from_pretrained(tmp_path / "in").save_pretrained(tmp_path / "again")
    assert not (tmp_path / "again" / "vocab.json").exists()
    assert (tmp_path / "again" / "model.safetensors.index.json").exists()
    convert(tmp_path / "again", tmp_path / "out")
    assert same(weights_of(tmp_path / "out"), weights_of(plain))


def test_a_name_on_the_hub_is_fetched_and_converted(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(monkeypatch, tmp_path / "cache") as hub:
        hub.add("facebook/blenderbot-tiny", published(tmp_path / "in", files="bin"))
        out = tmp_path / "out"
        assert main(["convert", "huggingface", "facebook/blenderbot-tiny", str(out)]) == 0
        assert hub.downloaded() >= {"config.json", "pytorch_model.bin", "vocab.json", "merges.txt"}
    assert same(weights_of(out), weights_of(plain))
    assert load_checkpoint(out).config.name == "blenderbot-tiny"


def test_pickles_are_left_on_the_hub_where_there_are_safetensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(monkeypatch, tmp_path / "cache") as hub:
        hub.add("facebook/blenderbot-tiny", published(tmp_path / "in"))
        hub.models["facebook/blenderbot-tiny"]["pytorch_model.bin"] = b"a program"
        fetch("facebook/blenderbot-tiny")
        assert "pytorch_model.bin" not in hub.downloaded()


def test_without_a_hub_one_line_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(monkeypatch, tmp_path / "cache") as hub:
        hub.broken = True
        with pytest.raises(CheckpointError) as refused:
            fetch("facebook/blenderbot-400M-distill")
    assert str(refused.value).startswith(
        "facebook/blenderbot-400M-distill: no such folder here, and"
    )
    assert "hf download facebook/blenderbot-400M-distill --local-dir DIR, and convert DIR" in str(
        refused.value
    )
    assert "\n" not in str(refused.value)
