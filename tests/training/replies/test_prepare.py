"""Before its first update a run has its data and knows its network, or says what is wrong."""

from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.errors import ConfigError, DataError
from openmmb.model.config import ModelConfig
from openmmb.tasks.mixture import TaskConfig
from openmmb.training.replies.config import Recipe
from openmmb.training.replies.prepare import Prepared, prepare
from openmmb.training.run.run_folder import claim
from openmmb.vision.features.extract import extract
from tests.build import TINY_F, TINY_I, TinyEncoder, tiny_features
from tests.training.build import PICTURES, tiny_recipe, write_start


def prepared(recipe: Recipe) -> Prepared:
    claim(recipe, Path(recipe.out))
    return prepare(recipe)


def test_pictures_need_image_vectors(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, tasks=PICTURES)
    with pytest.raises(ConfigError, match=r"^features: missing, but these data sets have pictures"):
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
    assert (len(found.loader.batcher.views), len(found.valid_batcher.views)) == (2, 1)
    batch = found.loader.batch(0)
    assert batch.image.shape == (4, TINY_I, TINY_F)
    with pytest.raises(
        ConfigError,
        match=r"^features: the pictures of .*mirrored are mirrored; use .* without --flip$",
    ):
        prepared(tiny_recipe(tmp_path, out="b", tasks=PICTURES, features=mirrored))
    with pytest.raises(
        ConfigError, match=r"^mirrored_features: .*features are not mirrored; use .* with --flip$"
    ):
        prepared(
            tiny_recipe(
                tmp_path, out="c", tasks=PICTURES, features=features, mirrored_features=features
            )
        )


def test_image_vectors_must_fit_the_recipe(tmp_path: Path) -> None:
    features = tiny_features(tmp_path)
    recipe = tiny_recipe(tmp_path, tasks=PICTURES, features=features)
    assert recipe.model is not None
    wide = replace(recipe, model=replace(recipe.model, image_dim=9))
    with pytest.raises(
        ConfigError, match=r"features has image vectors \(4, 8\) of \'tiny\', expected \(4, 9\) of"
    ):
        prepared(wide)
    other = tiny_recipe(tmp_path, out="b", tasks=PICTURES, features=features, encoder="other")
    with pytest.raises(
        ConfigError, match=r"image vectors \(4, 8\) of 'tiny', expected \(4, 8\) of 'other'$"
    ):
        prepared(other)


def test_image_vectors_must_fit_the_start(tmp_path: Path) -> None:
    features = tiny_features(tmp_path)
    start = write_start(tmp_path, image_dim=12)
    recipe = tiny_recipe(tmp_path, tasks=PICTURES, features=features, start=start)
    recipe = replace(recipe, model=ModelConfig())
    with pytest.raises(
        ConfigError, match=r"image vectors \(4, 8\) of 'tiny', expected \(4, 12\) of 'tiny'$"
    ):
        prepared(recipe)


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
    assert found.loader.batcher.controls.polarities["Angry"] == "negative"
    (tmp_path / "data" / "image_chat" / "personalities.json").unlink()
    with pytest.raises(DataError, match=r"no file .*personalities\.json"):
        prepared(recipe)
