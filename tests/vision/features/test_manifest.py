"""A folder says what made it, and lets nothing else in."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.errors import ConfigError, DataError
from openmmb.vision.features.locations import open_location
from openmmb.vision.features.manifest import Manifest, claim, read_manifest

MADE = Manifest(encoder="a", fingerprint="1", num_vectors=2, feature_dim=3)


@pytest.mark.parametrize("kind", ["path", "memory"])
def test_a_claim_is_read_back_and_can_be_repeated(tmp_path: Path, kind: str) -> None:
    folder = open_location(tmp_path if kind == "path" else f"memory:/{tmp_path}") / "a" / "b"
    for _ in range(2):
        claim(folder, MADE)
    assert read_manifest(folder) == MADE
    assert MADE.image_shape == (2, 3)


def test_a_folder_that_was_begun_without_words_goes_on_without(tmp_path: Path) -> None:
    folder = open_location(tmp_path)
    with_words = replace(MADE, words=True)
    claim(folder, MADE)
    assert claim(folder, with_words) == MADE
    path = tmp_path / "manifest.json"
    before_there_were_words = json.loads(path.read_text())
    del before_there_were_words["words"]
    path.write_text(json.dumps(before_there_were_words))
    assert claim(folder, with_words) == read_manifest(folder) == MADE
    assert claim(folder / "new", with_words) == with_words


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": "b"}, "made with encoder 'a', now 'b'; choose another folder"),
        ({"fingerprint": "2"}, "made with fingerprint '1', now '2'"),
        ({"num_vectors": 3}, "made with num_vectors 2, now 3"),
        ({"feature_dim": 2}, "made with feature_dim 3, now 2"),
        ({"flip": True}, "made with flip False, now True"),
    ],
)
def test_another_claim_is_refused(tmp_path: Path, change: dict[str, str], message: str) -> None:
    folder = open_location(tmp_path)
    claim(folder, MADE)
    with pytest.raises(ConfigError, match=message):
        claim(folder, replace(MADE, **change))  # type: ignore[arg-type]
    assert read_manifest(folder) == MADE


@pytest.mark.parametrize(
    ("key", "value"), [("num_vectors", 2**63), ("num_vectors", 0), ("feature_dim", -1)]
)
def test_sizes_that_no_pictures_have_are_refused(tmp_path: Path, key: str, value: int) -> None:
    folder = open_location(tmp_path)
    claim(folder, MADE)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(DataError, match=f"{key} must be from 1 to 1048576, got {value}"):
        read_manifest(folder)
