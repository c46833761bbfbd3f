"""A pickle gives numbers or one line, and never runs."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from openmmb.errors import CheckpointError
from openmmb.pickles import load_pickle, load_published


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


class Calls:
    """Calls something when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.arguments


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("mapped", [True, False])
def test_numbers_come_out(*, new: bool, mapped: bool, tmp_path: Path) -> None:
    path = tmp_path / "model"
    torch.save(
        {"model": {"a": torch.arange(3.0)}, "steps": 4}, path, _use_new_zipfile_serialization=new
    )
    found = load_pickle(path, mapped=mapped)
    assert found["steps"] == 4
    assert found["model"]["a"].tolist() == [0.0, 1.0, 2.0]


def test_what_was_copied_outlives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    torch.save({"a": torch.arange(5000.0)}, path)
    found = load_pickle(path)
    path.write_bytes(bytes(path.stat().st_size))
    assert found["a"].equal(torch.arange(5000.0))


def test_code_is_refused_and_not_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    (tmp_path / "plain").write_bytes(pickle.dumps({"a": Trap(sprung)}))
    torch.save({"a": Trap(sprung)}, tmp_path / "torch")
    for name in ("plain", "torch"):
        with pytest.raises(CheckpointError, match=f"{name}: .* code to run, which is refused: "):
            load_pickle(tmp_path / name)
    assert not sprung.exists()


def test_what_is_refused_is_named_and_nothing_is_advised(tmp_path: Path) -> None:
    torch.save({"a": Trap(tmp_path / "sprung")}, tmp_path / "torch")
    (tmp_path / "plain").write_bytes(pickle.dumps({"a": Calls(os.system, "true")}, protocol=2))
    for name, culprit in (("torch", "io.open"), ("plain", "posix.system")):
        with pytest.raises(CheckpointError, match=f"which is refused: it names {culprit}$") as info:
            load_pickle(tmp_path / name)
        assert "weights_only" not in str(info.value)


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_makes_no_memory_of_nothing(*, new: bool, tmp_path: Path) -> None:
    path = tmp_path / "model"
    torch.save({"a": Calls(bytearray, 10**15)}, path, _use_new_zipfile_serialization=new)
    with pytest.raises(CheckpointError, match="it names bytearray"):
        load_pickle(path)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(10_000)}, tmp_path / "model")
    with (
        zipfile.ZipFile(tmp_path / "model") as archive,
        zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in archive.namelist():
            bomb.writestr(name, archive.read(name))
    with pytest.raises(CheckpointError, match=r"says that it holds more than the \d+ bytes it has"):
        load_pickle(tmp_path / "bomb")


def test_a_zip_whose_entries_share_their_bytes_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "model"
    torch.save({"a": torch.zeros(10_000)}, path)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        at = content.find(signature)
        while at >= 0:
            content[at + offset : at + offset + 4] = (2**30).to_bytes(4, "little")
            at = content.find(signature, at + 1)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"says that it holds more than the \d+ bytes it has"):
        load_pickle(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_published_numbers_are_finite(suffix: str, tmp_path: Path) -> None:
    weights = {"a": torch.tensor([1.0, float("nan")]), "counter": torch.tensor(3)}
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(weights, path)
    with pytest.raises(CheckpointError, match=r"a has nan among its numbers, expected finite ones"):
        load_published(path, what="weights")


@given(st.binary(max_size=100), st.sampled_from([b"", b"PK\3\4", b"\x80\x02"]))
def test_noise_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, start: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.pth"
    path.write_bytes(start + noise)
    with pytest.raises(CheckpointError) as caught:
        load_pickle(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
