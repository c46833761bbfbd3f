"""A pickle gives numbers or one line, and never runs."""

import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openmmb.errors import CheckpointError
from openmmb.pickles import load_pickle


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


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
