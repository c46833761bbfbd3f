"""A folder that is whole is found whole, and each damage is found and named."""

import json
from pathlib import Path

import fsspec
import pytest
import torch

from openmmb.errors import ConfigError, DataError
from openmmb.vision.features import shards
from openmmb.vision.features.extract import extract
from openmmb.vision.features.locations import open_location
from openmmb.vision.features.manifest import read_manifest
from openmmb.vision.features.shards import Catalogue, new_shard
from openmmb.vision.features.verify import Findings, verify
from tests.vision.features.corners import Corners, paint

WHOLE = Findings(listed=6, missing=(), unreadable=(), duplicate=(), damaged=(), others=0)


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six pictures in three shards, beside the pictures."""
    monkeypatch.setattr(shards, "SHARD_SIZE", 2)
    paint(tmp_path / "in", 6)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    return tmp_path / "out"


def check(out: Path) -> Findings:
    return verify(out, [out.parent / "in"], encoder="corners")


def first_shard(out: Path) -> Path:
    return min(out.glob("*.arrow"))


def repair(out: Path) -> None:
    """Do what the messages say, once what is damaged was deleted."""
    extract(Corners(), [out.parent / "in"], out)
    assert check(out) == WHOLE


def test_what_was_extracted_is_whole(out: Path) -> None:
    calls: list[tuple[int, int]] = []
    found = verify(
        out,
        [out.parent / "in"],
        encoder="corners",
        progress=lambda done, total: calls.append((done, total)),
    )
    assert found == WHOLE
    assert found.whole
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_every_flipped_bit_is_found(out: Path) -> None:
    shard = first_shard(out)
    right = shard.read_bytes()
    for at in range(0, len(right), 37):
        wrong = bytearray(right)
        wrong[at] ^= 1 << at % 8
        shard.write_bytes(wrong)
        found = check(out)
        assert found.missing == ("p0", "p1")
        (line,) = found.damaged
        assert f"{shard}: damaged: SHA-256 " in line
        assert line.endswith("; delete it and extract again")
    shard.unlink()
    repair(out)


def test_a_missing_shard_is_found(out: Path) -> None:
    shard = first_shard(out)
    shard.unlink()
    found = check(out)
    assert not found.whole
    assert found.missing == ("p0", "p1")
    (line,) = found.damaged
    assert line.endswith(
        f"state.json: lists {shard.name}, which is missing; the next run writes it anew"
    )
    repair(out)


def test_a_shard_that_is_there_twice_is_found(out: Path) -> None:
    shard = first_shard(out)
    again = shard.with_name(shard.name.replace("00000", "00009"))
    again.write_bytes(shard.read_bytes())
    index = shard.with_suffix(".ids.json").read_bytes()
    again.with_suffix(".ids.json").write_bytes(index)
    found = check(out)
    assert not found.whole
    assert found.duplicate == tuple(f"{k}: in {shard.name} and {again.name}" for k in ("p0", "p1"))
    assert found.missing == ()
    (line,) = found.damaged
    assert line.endswith(f"state.json: lacks {again.name}; the next run writes it anew")
    again.unlink()
    assert check(out) == WHOLE


def test_a_shard_cut_short_or_without_index_is_found(out: Path) -> None:
    shard = first_shard(out)
    shard.write_bytes(shard.read_bytes()[:-8])
    (line,) = check(out).damaged
    assert "bytes, expected" in line
    shard.with_suffix(".ids.json").unlink()
    found = check(out)
    (line,) = found.damaged
    assert f"{shard}: damaged: no index: " in line
    assert found.missing == ("p0", "p1")


def test_numbers_that_are_none_are_found(out: Path) -> None:
    folder = open_location(out)
    with new_shard(folder, read_manifest(folder), Catalogue(folder)) as shard:
        shard.add(["q"], torch.full((1, 2, 3), 3.0))
    path = max(out.glob("*.arrow"))
    three, infinity = b"\x00\x42", b"\x00\x7c"
    path.write_bytes(path.read_bytes().replace(6 * three, 5 * three + infinity))
    index = json.loads(path.with_suffix(".ids.json").read_text())
    index["sha256"] = shards.sha256_of(path)
    path.with_suffix(".ids.json").write_text(json.dumps(index))
    (line, _) = check(out).damaged
    assert f"{path}: damaged: not all of its numbers are finite" in line


def test_other_pictures_than_the_index_lists_are_found(out: Path) -> None:
    path = first_shard(out).with_suffix(".ids.json")
    path.write_text(path.read_text().replace("p1", "p9"))
    (line,) = check(out).damaged
    assert "damaged: other pictures than its index lists" in line


def test_other_vectors_than_the_manifest_promises_are_found(out: Path) -> None:
    path = out / "manifest.json"
    path.write_text(path.read_text().replace('"feature_dim": 3', '"feature_dim": 4'))
    found = check(out)
    assert len(found.damaged) == 3
    assert "not the vectors of shape (2, 4)" in found.damaged[0]


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"])
def test_a_state_that_is_none_is_found(out: Path, text: str | None) -> None:
    (out / "state.json").unlink()
    if text is not None:
        (out / "state.json").write_text(text)
    (line,) = check(out).damaged
    assert "state.json: damaged: " in line
    repair(out)


def test_missing_unreadable_and_other_pictures_are_counted(out: Path) -> None:
    source = out.parent / "in"
    (source / "bad.png").touch()
    extract(Corners(), [source], out)
    (source / "p0.png").rename(source / "late.png")
    found = check(out)
    assert (found.listed, found.others) == (7, 1)
    assert (found.missing, found.unreadable) == (("bad", "late"), ("bad",))
    assert not found.whole


def test_a_store_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    paint(tmp_path / "in", 6)
    url = f"memory:/{tmp_path}/out"
    extract(Corners(), [tmp_path / "in"], url)
    assert verify(url, [tmp_path / "in"], encoder="corners") == WHOLE
    store, path = fsspec.url_to_fs(url)
    (shard,) = store.glob(f"{path}/*.arrow")
    store.pipe_file(shard, bytes(len(store.cat_file(shard))))
    (line,) = verify(url, [tmp_path / "in"], encoder="corners").damaged
    assert "damaged: SHA-256" in line


def test_another_encoder_or_mirroring_is_refused(out: Path) -> None:
    sources = [out.parent / "in"]
    with pytest.raises(ConfigError, match="out: made with encoder 'corners', not 'sides'"):
        verify(out, sources, encoder="sides")
    with pytest.raises(ConfigError, match="out: made with flip False, not True"):
        verify(out, sources, encoder="corners", flip=True)
    with pytest.raises(DataError, match="in: not a folder of features"):
        verify(sources[0], sources, encoder="corners")
