"""GGUF files become checkpoints with the weights and tokens that were written into them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType
from hypothesis import given
from hypothesis import strategies as st

from openmmb.checkpoint import WEIGHTS, load_checkpoint
from openmmb.cli import main
from openmmb.convert.gguf import begin_adapter, convert, read_vocabulary
from openmmb.errors import CheckpointError
from openmmb.model.adapter import AdapterConfig
from openmmb.model.causal import CausalLM
from openmmb.pretrained.gguf_file import GgufFile
from openmmb.text.tokenizer import END, PAD, START
from tests.pretrained.build import ARCHITECTURES, BASE, install_base, vocabulary, wide, write_gguf
from tests.text.test_adopted import THEIRS, theirs

SIZE = 340


def write(path: Path, name: str = "smollm2", **given: Any) -> CausalLM:
    model = wide(name, vocab_size=SIZE)
    fields = {**vocabulary(theirs()), **given.pop("fields", {})}
    write_gguf(path, model, ARCHITECTURES[name], fields=fields, **given)
    return model


@pytest.mark.parametrize("name", ["smollm2", "qwen2.5", "qwen3"])
def test_weights_come_back(tmp_path: Path, name: str) -> None:
    model = write(tmp_path / "a.gguf", name)
    convert(tmp_path / "a.gguf", tmp_path / "out", precision="fp32")
    found = load_checkpoint(tmp_path / "out").model.state_dict()
    for key, weight in model.state_dict().items():
        if not key.startswith("image_"):
            assert found[key].equal(weight)


def test_weights_are_stored_in_half_unless_asked(tmp_path: Path) -> None:
    write(tmp_path / "a.gguf", kind=GGMLQuantizationType.Q4_1)
    result = convert(tmp_path / "a.gguf", tmp_path / "out")
    assert "is untrained" in result.notes[0]
    assert load_checkpoint(tmp_path / "out", dtype=torch.float16).config == result.config
    full = sum(w.numel() for w in load_checkpoint(tmp_path / "out").model.parameters()) * 4
    assert (tmp_path / "out" / WEIGHTS).stat().st_size < 0.6 * full


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("gguf") / "a.gguf"
    write(path)
    with GgufFile(path) as file:
        return read_vocabulary(file)


@given(text=st.text(st.characters(exclude_categories=["Cs"])) | st.text("ab 12'\n.é"))
def test_tokens_are_those_that_were_written(ours: Any, text: str) -> None:
    assert ours.encode(text) == theirs().encode(text, add_special_tokens=False).ids


def test_special_tokens_keep_their_ids(ours: Any) -> None:
    assert (ours.special_id(START), ours.special_id(END)) == (1, 2)
    assert ours.special_id(PAD) == 0
    assert max(ours.special_ids()) < len(THEIRS)
    assert ours.vocab_size == SIZE


@pytest.mark.parametrize("way", ["llama-bpe", "qwen2"])
def test_other_ways_of_splitting_are_known(tmp_path: Path, way: str) -> None:
    write(tmp_path / "a.gguf", fields={"tokenizer.ggml.pre": way})
    with GgufFile(tmp_path / "a.gguf") as file:
        tokenizer = read_vocabulary(file)
    text = "I'm 1234, Ça va?\n\n  Yes "
    assert tokenizer.decode(tokenizer.encode(text)) == text


ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"tokenizer.ggml.model": "llama"}, "tokenizer.ggml.model is 'llama'; expected 'gpt2"),
    "way": ({"tokenizer.ggml.pre": "dbrx"}, "tokenizer.ggml.pre is 'dbrx'; expected one of llama"),
    "twice": ({"tokenizer.ggml.tokens": ["a"] * SIZE}, "340 tokens, 1 different, 340 kinds"),
    "kinds": ({"tokenizer.ggml.token_type": [1, 2]}, "340 tokens, 340 different, 2 kinds"),
    "merges": ({"tokenizer.ggml.merges": ["a b c"]}, "merges of two"),
    "merge": ({"tokenizer.ggml.merges": ["zzz yyy"]}, "tokens and merges do not fit"),
    "tokens": ({"tokenizer.ggml.tokens": [1, 2]}, "tokens holds other things than str"),
    "end": (
        {"tokenizer.ggml.eos_token_id": 99},
        "eos_token_id is 99; expected the id of a control",
    ),
    "far": ({"tokenizer.ggml.eos_token_id": 9999}, "eos_token_id is 9999; expected the id"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_vocabulary_that_cannot_be_gets_one_line(tmp_path: Path, name: str) -> None:
    fields, message = ERRORS[name]
    write(tmp_path / "a.gguf", fields=fields)
    with pytest.raises(CheckpointError, match=message) as caught:
        convert(tmp_path / "a.gguf", tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_base_is_converted_by_its_name_or_built_upon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_base(tmp_path, monkeypatch, vocab_size=SIZE, fields=vocabulary(theirs()))
    flags = ("--encoder", "efficientnet_lite0")
    assert main(["convert", "gguf", BASE, str(tmp_path / "whole"), *flags]) == 0
    assert main(["convert", "gguf", BASE, str(tmp_path / "thin"), *flags, "--adapter", "2"]) == 0
    capsys.readouterr()
    whole, thin = (load_checkpoint(tmp_path / name) for name in ("whole", "thin"))
    assert (thin.config.base, thin.config.adapter) == (BASE, AdapterConfig(rank=2, alpha=4.0))
    for key, weight in whole.model.state_dict().items():
        torch.testing.assert_close(thin.model.state_dict()[key], weight, rtol=1e-3, atol=1e-3)
    assert whole.tokenizer.to_json() == thin.tokenizer.to_json()


def test_beginning_is_the_same_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_base(tmp_path, monkeypatch, vocab_size=SIZE, fields=vocabulary(theirs()))
    for name in ("a", "b"):
        begin_adapter(BASE, tmp_path / name, AdapterConfig(rank=2))
    files = [(tmp_path / name / WEIGHTS).read_bytes() for name in ("a", "b")]
    assert files[0] == files[1]


def test_flags_that_do_not_fit_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags, message in (
        (("huggingface", "a", "b", "--adapter", "2"), "--adapter: only with gguf"),
        (("gguf", "a", "b", "--adapter", "-1"), "--adapter: must be at least 0"),
        (("gguf", "a", "b", "--to", "huggingface"), "convert gguf first"),
        (("gguf", str(tmp_path / "none"), str(tmp_path / "out")), "No such file"),
    ):
        assert main(["convert", *flags]) == 2
        assert message in capsys.readouterr().err
