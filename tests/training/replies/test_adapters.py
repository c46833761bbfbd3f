"""A run that starts from adapters trains them, and its checkpoint holds them and no base."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import openmmb
from openmmb.checkpoint import Checkpoint, CheckpointConfig, load_checkpoint, save_checkpoint
from openmmb.data.encode import EncodeConfig
from openmmb.model.adapter import AdapterConfig, adapt, own_names
from openmmb.model.causal import CausalLM
from openmmb.model.config import ModelConfig
from openmmb.pretrained.bases import load_base
from openmmb.search.config import SearchConfig
from openmmb.training.replies.config import Recipe
from tests.build import tiny_tokenizer
from tests.pretrained.build import BASE, install_base, wide
from tests.training.build import records, tiny_recipe

ADAPTER = AdapterConfig(rank=2, first_token=3, num_tokens=4)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A checkpoint whose adapters have learnt nothing yet, over an installed base."""
    tokenizer = tiny_tokenizer()
    install_base(tmp_path, monkeypatch, vocab_size=tokenizer.vocab_size)
    shape = replace(wide("smollm2").config, vocab_size=tokenizer.vocab_size)
    torch.manual_seed(0)
    model = CausalLM(shape)
    model.initialise()
    load_base(model, model.config, BASE, torch.float32)
    adapt(model, ADAPTER)
    config = CheckpointConfig(
        name="begun",
        encoder="tiny",
        model=shape,
        encode=EncodeConfig(max_context=48, max_pinned=24, max_reply=24),
        search=SearchConfig(),
        base=BASE,
        adapter=ADAPTER,
    )
    save_checkpoint(Checkpoint(config, model, tokenizer), tmp_path / "begun", precision="fp32")
    return str(tmp_path / "begun")


def recipe_from(start: str, folder: Path) -> Recipe:
    recipe = tiny_recipe(folder, start=start, max_steps=20, lr=1e-2)
    return replace(recipe, model=ModelConfig(), save_precision="fp32")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_adapters_learn_and_the_base_stays(precision: str, start: str, tmp_path: Path) -> None:
    recipe = recipe_from(start, tmp_path)
    if precision == "bf16":
        recipe = replace(recipe, precision="bf16", frozen_precision="bf16")
    result = openmmb.train(recipe)
    assert result.checkpoint is not None
    valid = [record["ppl"] for record in records(result.folder, "valid")]
    assert valid[-1] < valid[0]
    model = load_checkpoint(result.checkpoint, adapted=True).model
    own = set(own_names(model))
    before, after = (
        load_file(folder / "model.safetensors") for folder in (Path(start), result.checkpoint)
    )
    assert before.keys() == after.keys() == own
    moved = {name for name in own if not torch.equal(before[name], after[name])}
    assert {name for name in own if name.endswith((".up", ".down"))} <= moved
    state = load_file(result.folder / "state-00000020" / "state.safetensors")
    learnt = {name.removeprefix("model.") for name in state if name.startswith("model.")}
    assert learnt == own
    frozen = load_file(result.folder / "frozen" / "state.safetensors")
    assert {weight.dtype for weight in frozen.values()} == {
        torch.bfloat16 if precision == "bf16" else torch.float32
    }


def test_a_run_of_adapters_goes_on_bit_for_bit(start: str, tmp_path: Path) -> None:
    straight = openmmb.train(recipe_from(start, tmp_path))
    other = replace(recipe_from(start, tmp_path), out=str(tmp_path / "other"))
    resumed = openmmb.train(other).folder
    (resumed / "state-00000020").rename(resumed / "gone")
    openmmb.train(other)
    states = [run / "state-00000020" / "state.safetensors" for run in (straight.folder, resumed)]
    assert states[0].read_bytes() == states[1].read_bytes()


def test_controls_are_not_drawn_anew_below_adapters(start: str, tmp_path: Path) -> None:
    recipe = replace(recipe_from(start, tmp_path), fresh_controls=True)
    message = r"^fresh_controls: expected a start without adapters, but .*begun has them$"
    with pytest.raises(openmmb.ConfigError, match=message):
        openmmb.train(recipe)
