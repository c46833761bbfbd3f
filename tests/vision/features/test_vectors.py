"""What is read back by image id is what the encoder said, from a folder here or in a store."""

import json
import pickle
from pathlib import Path

import fsspec
import pytest
import torch

from openmmb.errors import DataError
from openmmb.vision.features.extract import extract
from openmmb.vision.features.vectors import Features
from openmmb.vision.features.verify import verify
from tests.vision.features.corners import Corners, expect, paint


def test_features_come_back(tmp_path: Path) -> None:
    images = paint(tmp_path / "in", 5)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out", batch_size=2)
    found = Features(tmp_path / "out")
    expect(found, images)
    assert (len(found), found.image_shape, found.manifest.encoder) == (5, (2, 3), "corners")
    assert "p4" in found
    assert "p5" not in found
    assert found["p0"].dtype == torch.float32


def test_words_come_back_beside_the_vectors(tmp_path: Path) -> None:
    images = paint(tmp_path / "in", 5)
    encoder = Corners(has_words=True)
    extract(encoder, [tmp_path / "in"], tmp_path / "out", batch_size=2)
    found = Features(tmp_path / "out")
    expect(found, images)
    assert found.manifest.words
    for image_id, image in images.items():
        assert found.words(image_id) == encoder.words(encoder.encode([image])[0])
    with pytest.raises(DataError, match=r"out: no picture 'p9' among its 5$"):
        found.words("p9")
    assert verify(tmp_path / "out", [tmp_path / "in"], encoder="corners").whole


def test_a_folder_without_words_has_none_and_goes_on(tmp_path: Path) -> None:
    paint(tmp_path / "in", 2)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    images = paint(tmp_path / "in", 4)
    extract(Corners(has_words=True), [tmp_path / "in"], tmp_path / "out")
    found = Features(tmp_path / "out")
    expect(found, images)
    assert [found.words(image_id) for image_id in images] == [()] * 4


def test_a_folder_with_words_is_a_data_set_too(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    paint(tmp_path / "in", 1)
    extract(Corners(has_words=True), [tmp_path / "in"], tmp_path / "out")
    (row,) = datasets.load_from_disk(str(tmp_path / "out"))
    assert row["words"] == [
        {"label": "red 0", "probability": 0.75},
        {"label": "right", "probability": 0.25},
    ]


def test_a_pickle_is_a_path(tmp_path: Path) -> None:
    images = paint(tmp_path / "in", 3)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    data = pickle.dumps(Features(tmp_path / "out"))
    assert len(data) < 1000
    expect(pickle.loads(data), images)


def test_shards_of_a_store_are_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images = paint(tmp_path / "in", 3)
    out = f"memory:/{tmp_path}/out"
    extract(Corners(), [tmp_path / "in"], out)
    expect(Features(out), images)
    (copy,) = (tmp_path / "cache" / "openmmb").glob("*/*")
    made = copy.stat().st_mtime_ns
    store, path = fsspec.url_to_fs(out)
    store.pipe_file(f"{path}/{copy.name}", bytes(copy.stat().st_size))
    expect(Features(out), images)
    assert copy.stat().st_mtime_ns == made
    copy.write_bytes(b"half")  # of another size than the shard in the store
    with pytest.raises(DataError, match=r"memory:.*\.arrow: damaged: "):
        Features(out)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    paint(tmp_path / "in", 1)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    with pytest.raises(DataError, match=r"out: no picture 'p1' among its 1$"):
        Features(tmp_path / "out")["p1"]


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not a folder of features: no manifest.json; expected"):
        Features(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not a folder of features: Expecting property name"):
        Features(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"encoder": "corners"}))
    with pytest.raises(DataError, match=r"manifest\.json: fingerprint: missing"):
        Features(tmp_path)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    paint(tmp_path / "in", 1)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    (tmp_path / "out" / "00001-x.arrow").write_bytes(b"not arrow at all")
    with pytest.raises(DataError, match=r"00001-x\.arrow: damaged: .*; delete it and extract"):
        Features(tmp_path / "out")
