"""Before its first update a run has its data, vocabulary and network, or says what is wrong."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from openmmb.checkpoint import CheckpointConfig, load_checkpoint, save_checkpoint
from openmmb.config import load
from openmmb.errors import CheckpointError, ConfigError, DataError
from openmmb.model.config import ModelConfig
from openmmb.text.tokenizer import CONTROLS
from openmmb.train.config import Recipe, TaskConfig
from openmmb.train.folder import claim
from openmmb.train.prepare import Prepared, prepare
from openmmb.vision.features.extract import extract
from tests.build import TINY_F, TINY_I, TinyEncoder, tiny_checkpoint, tiny_features
from tests.train.build import PICTURES, tiny_recipe


def prepared(recipe: Recipe) -> Prepared:
    claim(recipe, Path(recipe.out))
    return prepare(recipe)


def write_start(folder: Path, *, encoder: str = "tiny", image_dim: int = TINY_F) -> str:
    checkpoint = tiny_checkpoint(encoder=encoder, image_vectors=TINY_I, image_dim=image_dim)
    save_checkpoint(checkpoint, folder / "start", precision="fp32")
    return str(folder / "start")


def test_a_run_starts_anew_from_its_seed(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    first, again = prepared(recipe), prepared(replace(recipe, out=str(tmp_path / "again")))
    other = prepared(replace(recipe, out=str(tmp_path / "other"), seed=1))
    weights = [p.checkpoint.model.embeddings.weight for p in (first, again, other)]
    assert first.checkpoint.tokenizer.vocab_size == first.checkpoint.config.model.vocab_size
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_start_keeps_network_and_vocabulary(tmp_path: Path) -> None:
    start = write_start(tmp_path)
    recipe = replace(tiny_recipe(tmp_path, start=start), model=ModelConfig(dropout=0.25))
    loaded, found = load_checkpoint(Path(start)), prepared(recipe).checkpoint
    torch.testing.assert_close(found.model.state_dict(), loaded.model.state_dict(), rtol=0, atol=0)
    assert found.tokenizer.encode("a boat") == loaded.tokenizer.encode("a boat")
    assert not (Path(recipe.out) / "tokenizer.json").exists()
    assert found.config.model == replace(loaded.config.model, dropout=0.25)
    assert (found.config.name, found.config.encode) == (recipe.name, recipe.encode)
    assert found.model.decoder.dropout.p == 0.25
    assert all(
        weight.requires_grad == ("positions" not in name)
        for name, weight in found.model.named_parameters()
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ModelConfig(embed_dim=32), r"^model\.embed_dim: 32, but .*start has 16, which is taken;"),
        (ModelConfig(image_dim=7), r"^model\.image_dim: 7, but .*start has 8, which is taken;"),
        (ModelConfig(fusion="late"), r"^model\.fusion: 'late', but .*start has 'early'"),
    ],
)
def test_a_start_has_the_network_that_it_has(
    model: ModelConfig, message: str, tmp_path: Path
) -> None:
    recipe = replace(tiny_recipe(tmp_path, start=write_start(tmp_path)), model=model)
    with pytest.raises(ConfigError, match=message):
        prepared(recipe)


def test_controls_can_be_drawn_anew(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, start=write_start(tmp_path))
    kept = prepared(recipe).checkpoint
    drawn = prepared(replace(recipe, fresh_controls=True)).checkpoint
    again = prepared(replace(recipe, fresh_controls=True)).checkpoint
    controls = [kept.tokenizer.special_id(name) for name in CONTROLS]
    others = [token for token in range(kept.tokenizer.vocab_size) if token not in controls]
    before, after = kept.model.embeddings.weight, drawn.model.embeddings.weight
    assert torch.equal(before[others], after[others])
    assert (before[controls] != after[controls]).all()
    assert torch.equal(after, again.model.embeddings.weight)
    assert after.requires_grad


def test_a_run_that_goes_on_needs_its_start_no_more(tmp_path: Path) -> None:
    recipe = replace(tiny_recipe(tmp_path, start=write_start(tmp_path)), fresh_controls=True)
    first = prepared(recipe).checkpoint
    (Path(recipe.out) / "state-00000010").mkdir()
    shutil.rmtree(tmp_path / "start")
    again = prepared(recipe).checkpoint
    assert again.config == first.config
    assert again.tokenizer.encode("a boat") == first.tokenizer.encode("a boat")
    shapes = [{k: v.shape for k, v in c.model.state_dict().items()} for c in (first, again)]
    assert shapes[0] == shapes[1]


def test_before_a_state_another_start_takes_over(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, start=write_start(tmp_path))
    prepared(recipe)
    save_checkpoint(
        tiny_checkpoint(encoder="tiny", image_vectors=TINY_I, image_dim=TINY_F, gender="f0m1"),
        tmp_path / "other",
        precision="fp32",
    )
    prepared(replace(recipe, start=str(tmp_path / "other")))
    kept = load(CheckpointConfig, Path(recipe.out) / "start" / "config.toml")
    assert kept.gender == "f0m1"


def test_a_start_with_another_encoder_is_refused(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, start=write_start(tmp_path, encoder="other"))
    with pytest.raises(ConfigError, match=r"^data\.encoder: 'tiny', but .* vectors of 'other'$"):
        prepared(recipe)


def test_a_wrong_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere: no such folder"):
        prepared(tiny_recipe(tmp_path, start=str(tmp_path / "nowhere")))


def test_pictures_need_image_vectors(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, tasks=PICTURES)
    with pytest.raises(ConfigError, match=r"^data\.features: missing; these tasks have pictures"):
        prepared(recipe)
    nowhere = replace(recipe, data=replace(recipe.data, features=str(tmp_path / "nowhere")))
    with pytest.raises(DataError, match="nowhere: not a folder of features"):
        prepared(nowhere)
    few = tiny_features(tmp_path, ("11_aa", "22_bb", "f00d"))
    with pytest.raises(DataError, match="no image vectors for 1 of 4 pictures, first beef; run"):
        prepared(replace(recipe, data=replace(recipe.data, features=str(few))))


def test_pictures_are_seen_either_way_but_validated_on_as_they_are(tmp_path: Path) -> None:
    features = tiny_features(tmp_path)
    mirrored = tmp_path / "mirrored"
    extract(TinyEncoder(), [tmp_path / "pictures"], mirrored, flip=True)
    recipe = tiny_recipe(tmp_path, tasks=PICTURES, features=features, mirrored_features=mirrored)
    found = prepared(recipe)
    assert (len(found.loader.encoder.views), len(found.valid_encoder.views)) == (2, 1)
    batch = found.loader.batch(0)
    assert batch.image.shape == (4, TINY_I, TINY_F)
    with pytest.raises(ConfigError, match=r"^data\.features: the pictures of .*mirrored are mirr"):
        prepared(tiny_recipe(tmp_path, out="b", tasks=PICTURES, features=mirrored))
    with pytest.raises(ConfigError, match=r"^data\.mirrored_features: .*features are not mirror"):
        prepared(
            tiny_recipe(
                tmp_path, out="c", tasks=PICTURES, features=features, mirrored_features=features
            )
        )


def test_image_vectors_must_fit_the_recipe(tmp_path: Path) -> None:
    features = tiny_features(tmp_path)
    recipe = tiny_recipe(tmp_path, tasks=PICTURES, features=features)
    wide = replace(recipe, model=replace(recipe.model, image_dim=9))
    with pytest.raises(ConfigError, match=r"features has image vectors of \(4, 8\), but .* \(4, 9"):
        prepared(wide)
    other = tiny_recipe(tmp_path, out="b", tasks=PICTURES, features=features, encoder="other")
    with pytest.raises(
        ConfigError, match=r"features is of encoder 'tiny', but data\.encoder is 'o"
    ):
        prepared(other)


def test_image_vectors_must_fit_the_start(tmp_path: Path) -> None:
    features = tiny_features(tmp_path)
    start = write_start(tmp_path, image_dim=12)
    recipe = tiny_recipe(tmp_path, tasks=PICTURES, features=features, start=start)
    recipe = replace(recipe, model=ModelConfig())
    with pytest.raises(ConfigError, match=r"image vectors of \(4, 8\), but .* are \(4, 12\)$"):
        prepared(recipe)


def test_contexts_and_replies_must_have_positions(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    with pytest.raises(ConfigError, match=r"encode\.max_reply \(99\) must be at most model\.num"):
        prepared(replace(recipe, encode=replace(recipe.encode, max_reply=99)))
    assert not (Path(recipe.out) / "tokenizer.json").exists()


def test_a_batch_must_not_be_larger_than_an_epoch(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^data\.batch_size: 22, but an epoch has only 21 ex"):
        prepared(tiny_recipe(tmp_path, batch_size=22))


def test_something_must_be_validated_on(tmp_path: Path) -> None:
    nothing = TaskConfig(name="convai2", weight=4.0, holdout=1e-9)
    with pytest.raises(DataError, match=r"^no task has examples to validate on; give one a larger"):
        prepared(tiny_recipe(tmp_path, tasks=(nothing,)))
    something = TaskConfig(name="dailydialog", weight=3.0)
    found = prepared(tiny_recipe(tmp_path, out="b", tasks=(nothing, something)))
    assert [len(task.valid) for task in found.tasks] == [0, 3]


def test_styles_need_their_polarities(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, tasks=PICTURES, features=tiny_features(tmp_path))
    found = prepared(recipe)
    assert found.loader.encoder.controls.polarities["Angry"] == "negative"
    (tmp_path / "data" / "image_chat" / "personalities.json").unlink()
    with pytest.raises(DataError, match=r"no file .*personalities\.json"):
        prepared(recipe)
