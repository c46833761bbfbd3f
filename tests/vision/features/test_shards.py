"""A shard is there whole or not at all, and the list of shards knows it."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openmmb.errors import DataError
from openmmb.vision.features.locations import Location, open_location
from openmmb.vision.features.manifest import Manifest
from openmmb.vision.features.shards import (
    Catalogue,
    list_shards,
    new_shard,
    read_index,
    read_shard,
    sha256_of,
    write_state,
)

SHAPE = (2, 3)
MANIFEST = Manifest(encoder="a", fingerprint="1", num_vectors=2, feature_dim=3)


def write(folder: Location, ids: str) -> None:
    """Write a shard of one picture a letter, in batches of two."""
    with new_shard(folder, MANIFEST, Catalogue(folder)) as shard:
        for start in range(0, len(ids), 2):
            letters = ids[start : start + 2]
            vectors = torch.tensor([ord(letter) for letter in letters], dtype=torch.float32)
            shard.add(list(letters), vectors[:, None, None].expand(-1, *SHAPE))


def letters_in(folder: Location) -> str:
    """Read all shards, and see that each letter has its number."""
    found = ""
    for name in list_shards(folder):
        path = folder / name
        assert path.local is not None
        for rows in read_shard(path, path.local, MANIFEST):
            found += "".join(rows.ids)
            numbers = [set(vectors.reshape(-1)) for vectors in rows.vectors]
            assert numbers == [{ord(key)} for key in rows.ids]
    return found


@settings(max_examples=30)
@given(st.lists(st.text("abcdefgh", max_size=9).map(lambda ids: "".join(dict.fromkeys(ids)))))
def test_shards_hold_each_picture_once(
    tmp_path_factory: pytest.TempPathFactory, shards: list[str]
) -> None:
    folder = open_location(tmp_path_factory.mktemp("shards"))
    for ids in shards:
        write(folder, ids)
    assert sorted(letters_in(folder)) == sorted(set("".join(shards)))
    assert Catalogue(folder).ids() == set("".join(shards))


def test_an_index_says_what_is_in_a_shard(tmp_path: Path) -> None:
    folder = open_location(tmp_path)
    write(folder, "abc")
    ((name, size),) = list_shards(folder).items()
    index = read_index(folder, name, size)
    assert index.ids == ("a", "b", "c")
    assert index.num_bytes == size == (tmp_path / name).stat().st_size
    assert index.sha256 == sha256_of(tmp_path / name)
    assert name == f"00000-{index.sha256[:16]}.arrow"
    with pytest.raises(DataError, match=rf"damaged: {size - 1} bytes, expected {size}; delete it"):
        read_index(folder, name, size - 1)
    (tmp_path / name).with_suffix(".ids.json").write_text("[]")
    with pytest.raises(DataError, match=r"\.arrow: damaged: no index: .*; delete it"):
        read_index(folder, name, size)
    (tmp_path / name).with_suffix(".ids.json").unlink()
    with pytest.raises(DataError, match=r"\.arrow: damaged: no index: .*No such file"):
        read_index(folder, name, size)


def test_a_shard_of_other_vectors_is_refused(tmp_path: Path) -> None:
    folder = open_location(tmp_path)
    write(folder, "ab")
    (name,) = list_shards(folder)
    other = replace(MANIFEST, num_vectors=3, feature_dim=2)
    with pytest.raises(DataError, match=r"not the vectors of shape \(3, 2\) that the manifest"):
        list(read_shard(folder / name, tmp_path / name, other))


def test_a_shard_of_which_bytes_are_damaged_is_refused(tmp_path: Path) -> None:
    folder = open_location(tmp_path)
    write(folder, "abc")
    ((name, _),) = list_shards(folder).items()
    whole = (tmp_path / name).read_bytes()
    refused = 0
    for at in range(0, len(whole), 3):
        (tmp_path / name).write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        try:
            rows = list(read_shard(folder / name, tmp_path / name, MANIFEST))
        except DataError:
            refused += 1
        else:
            assert {one.vectors.shape[1:] for one in rows} <= {SHAPE}
    assert refused > 100


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    folder = open_location(tmp_path)
    with (
        pytest.raises(ValueError, match="beyond float16 or not numbers: nan"),
        new_shard(folder, MANIFEST, Catalogue(folder)) as shard,
    ):
        shard.add(["a"], torch.full((1, *SHAPE), torch.nan))
    assert list(tmp_path.iterdir()) == []


def test_whoever_writes_the_state_last_knows_all_shards(tmp_path: Path) -> None:
    folder = open_location(tmp_path)

    def work(letter: str) -> None:
        write(folder, letter)
        write_state(folder)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, "abcdefghijklmnopqrstuvwxyz"))
    state = json.loads((tmp_path / "state.json").read_text())
    names = [file["filename"] for file in state["_data_files"]]
    assert names == list(list_shards(folder))
    assert len(names) == 26
    assert sorted(letters_in(folder)) == list("abcdefghijklmnopqrstuvwxyz")
