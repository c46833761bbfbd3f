"""A network begins with its seed's weights, its start's, or none where others will be read."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from openmmb.checkpoint import CheckpointConfig, load_checkpoint, save_checkpoint
from openmmb.config import load
from openmmb.errors import CheckpointError, ConfigError
from openmmb.model.config import ModelConfig
from openmmb.model.network import TrainableNetwork
from openmmb.tasks.mixture import read_task
from openmmb.text.tokenizer import CONTROLS
from openmmb.training.replies.config import Recipe
from openmmb.training.replies.start import Start, build_network, find_start
from openmmb.training.run.run_folder import claim
from tests.build import TINY_F, TINY_I, tiny_checkpoint
from tests.training.build import tiny_recipe, write_start


def found(recipe: Recipe) -> Start:
    claim(recipe, Path(recipe.out))
    return find_start(recipe, [read_task(task, Path(recipe.data.root)) for task in recipe.tasks])


def network(recipe: Recipe) -> TrainableNetwork:
    return build_network(recipe, found(recipe))


def test_a_run_starts_anew_from_its_seed(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    again, other = (replace(recipe, out=str(tmp_path / out)) for out in ("again", "other"))
    weights = [network(r).embeddings.weight for r in (recipe, again, replace(other, seed=1))]
    start = found(recipe)
    assert start.tokenizer.vocab_size == start.config.model.vocab_size == len(weights[0])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_start_keeps_network_and_vocabulary(tmp_path: Path) -> None:
    start = write_start(tmp_path)
    recipe = replace(tiny_recipe(tmp_path, start=start), model=ModelConfig(dropout=0.25))
    loaded, kept, model = load_checkpoint(Path(start)), found(recipe), network(recipe)
    torch.testing.assert_close(model.state_dict(), loaded.model.state_dict(), rtol=0, atol=0)
    assert kept.tokenizer.encode("a boat") == loaded.tokenizer.encode("a boat")
    assert not (Path(recipe.out) / "tokenizer.json").exists()
    assert kept.config.model == model.config == replace(loaded.config.seq2seq, dropout=0.25)
    assert (kept.config.name, kept.config.encode) == (recipe.name, recipe.encode)
    dropouts = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
    assert dropouts == {0.25, 0.0}
    assert all(
        weight.requires_grad == ("positions" not in name)
        for name, weight in model.named_parameters()
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            ModelConfig(embed_dim=32),
            r"^model\.embed_dim: 32, but .*start has 16, which the run uses;",
        ),
        (ModelConfig(image_dim=7), r"^model\.image_dim: 7, but .*start has 8, which the run uses;"),
        (ModelConfig(fusion="late"), r"^model\.fusion: 'late', but .*start has 'early'"),
    ],
)
def test_a_start_has_the_network_that_it_has(
    model: ModelConfig, message: str, tmp_path: Path
) -> None:
    recipe = replace(tiny_recipe(tmp_path, start=write_start(tmp_path)), model=model)
    with pytest.raises(ConfigError, match=message):
        found(recipe)


def test_controls_can_be_drawn_anew(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, start=write_start(tmp_path))
    fresh = replace(recipe, fresh_controls=True)
    before, after, again = (network(r).embeddings.weight for r in (recipe, fresh, fresh))
    tokenizer = found(recipe).tokenizer
    controls = [tokenizer.special_id(name) for name in CONTROLS]
    others = [token for token in range(tokenizer.vocab_size) if token not in controls]
    assert torch.equal(before[others], after[others])
    assert (before[controls] != after[controls]).all()
    assert torch.equal(after, again)
    assert after.requires_grad


@pytest.mark.parametrize("started", [True, False])
def test_a_run_that_goes_on_builds_no_weights(started: bool, tmp_path: Path) -> None:
    """It reads them from its state, and needs its start no more."""
    recipe = tiny_recipe(tmp_path, start=write_start(tmp_path) if started else None)
    first, filled = found(recipe), network(recipe)
    (Path(recipe.out) / "state-00000010").mkdir()
    if started:
        shutil.rmtree(tmp_path / "start")
    again, empty = found(recipe), network(recipe)
    assert again.config == first.config
    assert again.tokenizer.encode("a boat") == first.tokenizer.encode("a boat")
    shapes = [{k: v.shape for k, v in model.state_dict().items()} for model in (filled, empty)]
    assert shapes[0] == shapes[1]
    assert {weight.device.type for weight in filled.parameters()} == {"cpu"}
    assert {weight.device.type for weight in empty.parameters()} == {"meta"}


def test_before_a_state_another_start_takes_over(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, start=write_start(tmp_path))
    found(recipe)
    save_checkpoint(
        tiny_checkpoint(encoder="tiny", image_vectors=TINY_I, image_dim=TINY_F, gender="f0m1"),
        tmp_path / "other",
        precision="fp32",
    )
    found(replace(recipe, start=str(tmp_path / "other")))
    kept = load(CheckpointConfig, Path(recipe.out) / "start" / "config.toml")
    assert kept.gender == "f0m1"


def test_a_start_with_another_encoder_is_refused(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, start=write_start(tmp_path, encoder="other"))
    with pytest.raises(
        ConfigError, match=r"^data\.encoder: 'tiny', but .* vectors of 'other'; use"
    ):
        found(recipe)


def test_a_wrong_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere: no such folder"):
        found(tiny_recipe(tmp_path, start=str(tmp_path / "nowhere")))


def test_contexts_and_replies_must_have_positions(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    assert recipe.encode is not None
    with pytest.raises(ConfigError, match=r"encode\.max_reply \(99\) must be at most model\.num"):
        found(replace(recipe, encode=replace(recipe.encode, max_reply=99)))
    assert not (Path(recipe.out) / "tokenizer.json").exists()
