"""A decoder-only network's checkpoint: whole, or what training changed of an installed base."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from openmmb.checkpoint import (
    CONFIG,
    WEIGHTS,
    Checkpoint,
    CheckpointConfig,
    load_checkpoint,
    save_checkpoint,
)
from openmmb.config import load, parse
from openmmb.data.encode import EncodeConfig
from openmmb.errors import CheckpointError, ConfigError
from openmmb.model.adapter import AdapterConfig, adapt, is_adapted, own_names
from openmmb.model.causal import CausalLM
from openmmb.model.causal_config import CausalConfig
from openmmb.pretrained.bases import load_base
from openmmb.search.config import SearchConfig
from tests.build import tiny_config, tiny_tokenizer
from tests.model.causal import SHAPES, inputs, network
from tests.pretrained.build import BASE, install_base, wide

START = 1
ADAPTER = AdapterConfig(rank=2, first_token=3, num_tokens=4)


def settings(model: CausalConfig) -> CheckpointConfig:
    return CheckpointConfig(
        name="tiny",
        encoder="tiny",
        model=model,
        encode=EncodeConfig(max_context=48, max_pinned=24, max_reply=24),
        search=SearchConfig(),
    )


def logits(model: CausalLM) -> Tensor:
    given = inputs()
    with torch.no_grad():
        return model.logits(model(*given.read(), given.reply, START))


def based(*, seed: int = 0) -> Checkpoint:
    """A base with adapters that have learnt something."""
    tokenizer = tiny_tokenizer()
    shape = replace(wide("smollm2").config, vocab_size=tokenizer.vocab_size)
    with torch.device("meta"):
        model = CausalLM(shape)
    load_base(model, model.config, BASE, torch.float32)
    adapt(model, ADAPTER)
    source = torch.Generator().manual_seed(seed)
    own = {
        name: torch.randn(weight.shape, generator=source) * 0.1
        for name, weight in model.state_dict().items()
        if name in own_names(model)
    }
    model.load_state_dict(own, strict=False, assign=True)
    config = replace(settings(shape), base=BASE, adapter=ADAPTER)
    return Checkpoint(config=config, model=model.eval(), tokenizer=tokenizer)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    vocabulary = tiny_tokenizer().vocab_size
    return install_base(tmp_path, monkeypatch, vocab_size=vocabulary)


@pytest.mark.parametrize("name", SHAPES)
def test_a_whole_checkpoint_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    tokenizer = tiny_tokenizer()
    model = network(replace(SHAPES[name], vocab_size=tokenizer.vocab_size))
    written = Checkpoint(config=settings(model.config), model=model, tokenizer=tokenizer)
    save_checkpoint(written, tmp_path / "a", precision="fp32")
    read = load_checkpoint(tmp_path / "a")
    assert read.config == written.config
    assert isinstance(read.model, CausalLM)
    assert logits(read.model).equal(logits(model))


def test_a_checkpoint_over_a_base_holds_only_what_was_trained(tmp_path: Path, base: Path) -> None:
    checkpoint = based()
    save_checkpoint(checkpoint, tmp_path / "a", precision="fp16")
    assert set(load_file(tmp_path / "a" / WEIGHTS)) == {*own_names(checkpoint.model)}
    assert load(CheckpointConfig, tmp_path / "a" / CONFIG) == checkpoint.config


def test_loading_merges_what_was_trained(tmp_path: Path, base: Path) -> None:
    checkpoint = based()
    assert isinstance(checkpoint.model, CausalLM)
    save_checkpoint(checkpoint, tmp_path / "a", precision="fp32")
    read = load_checkpoint(tmp_path / "a")
    assert isinstance(read.model, CausalLM)
    assert not is_adapted(read.model)
    torch.testing.assert_close(logits(read.model), logits(checkpoint.model), rtol=1e-4, atol=1e-4)
    half = load_checkpoint(tmp_path / "a", dtype=torch.bfloat16).model
    assert {weight.dtype for weight in half.parameters()} == {torch.bfloat16}
    assert not half.training


def test_adapters_are_left_for_more_training_when_asked(tmp_path: Path, base: Path) -> None:
    checkpoint = based()
    assert isinstance(checkpoint.model, CausalLM)
    save_checkpoint(checkpoint, tmp_path / "a", precision="fp32")
    read = load_checkpoint(tmp_path / "a", adapted=True)
    assert isinstance(read.model, CausalLM)
    assert logits(read.model).equal(logits(checkpoint.model))
    save_checkpoint(read, tmp_path / "b", precision="fp32")
    assert (tmp_path / "b" / WEIGHTS).read_bytes() == (tmp_path / "a" / WEIGHTS).read_bytes()
    half = load_checkpoint(tmp_path / "a", dtype=torch.bfloat16, adapted=True).model
    trained = {name for name, weight in half.named_parameters() if weight.requires_grad}
    assert trained == {*own_names(half)}
    for name, weight in half.named_parameters():
        assert weight.dtype == (torch.float32 if name in trained else torch.bfloat16)


def test_adapters_of_another_rank_are_refused(tmp_path: Path, base: Path) -> None:
    save_checkpoint(based(), tmp_path / "a", precision="fp32")
    path = tmp_path / "a" / CONFIG
    path.write_text(path.read_text().replace("rank = 2", "rank = 3"))
    with pytest.raises(CheckpointError, match=r"down is \(2, 64\), expected \(3, 64\) for"):
        load_checkpoint(tmp_path / "a")


def test_a_missing_base_is_told_with_the_command(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(based(), tmp_path / "a", precision="fp32")
    base.unlink()
    message = r"base tiny is neither installed \(run: pip install tiny\) nor downloaded"
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": BASE}, "set both, or neither"),
        ({"adapter": ADAPTER}, "set both, or neither"),
        ({"base": "smollm", "adapter": ADAPTER}, "no base 'smollm'"),
        (
            {"base": BASE, "adapter": ADAPTER, "model": tiny_config()},
            "base is 'tiny', so model.kind must be 'causal'",
        ),
        (
            {"encode": EncodeConfig(max_context=500, max_pinned=24, max_reply=24)},
            r"model.image_vectors \(3\), encode.max_context \(500\) and encode.max_reply \(24\) "
            r"must be at most model.num_positions \(512\) together",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(settings(SHAPES["smollm2"]), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"kind": "causal", "num_kv_head": 1}, "model.num_kv_head: no key .* mean 'num_kv_heads'"),
        ({"num_head": 1}, "model.num_head: no key 'num_head'; did you mean 'num_heads'"),
        ({"kind": "rnn"}, "model: kind must be 'causal', or left out"),
    ],
)
def test_a_wrong_key_of_a_shape_is_told_by_its_kind(shape: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(CheckpointConfig, {"name": "a", "encoder": "a", "model": shape})


def test_a_shape_is_of_one_kind() -> None:
    checkpoint = settings(SHAPES["smollm2"])
    with pytest.raises(CheckpointError, match=r"tiny: model\.kind is 'causal'; expected a network"):
        _ = checkpoint.seq2seq
    assert replace(checkpoint, model=tiny_config()).seq2seq == tiny_config()
