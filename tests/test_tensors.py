"""What is written tensor by tensor is what safetensors itself reads and writes."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.tensors import (
    NAMES,
    Weight,
    open_safetensors,
    pickled_weights,
    write_safetensors,
)

SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
TENSORS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
        lambda name: name != "__metadata__"
    ),
    st.tuples(SHAPES, st.sampled_from(list(NAMES))),
    max_size=4,
)


def lazy(tensors: dict[str, Tensor]) -> dict[str, Weight]:
    return {name: Weight(tuple(t.shape), t.dtype, t.clone) for name, t in tensors.items()}


@given(TENSORS)
def test_reading_inverts_writing(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: dict[str, tuple[tuple[int, ...], torch.dtype]],
) -> None:
    path = tmp_path_factory.getbasetemp() / "weights.safetensors"
    tensors = {name: torch.randn(shape).to(dtype) for name, (shape, dtype) in drawn.items()}
    write_safetensors(path, lazy(tensors))
    theirs = load_file(path)
    with open_safetensors(path) as found:
        ours = {name: weight.read() for name, weight in found.items()}
        assert {n: (w.shape, w.dtype) for n, w in found.items()} == {
            name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()
        }
    for read in (theirs, ours):
        assert read.keys() == tensors.keys()
        assert all(read[name].equal(tensor) for name, tensor in tensors.items())


def test_a_part_of_a_larger_tensor_is_written_alone(tmp_path: Path) -> None:
    whole = torch.arange(12.0).view(3, 4)
    path = tmp_path / "weights.safetensors"
    part = whole[:, 1:3]
    write_safetensors(path, {"part": Weight((3, 2), torch.float32, lambda: part)})
    assert load_file(path)["part"].equal(part)
    assert path.stat().st_size < 200


@pytest.mark.parametrize("wrong", [torch.zeros(3), torch.zeros(2).half()])
def test_a_tensor_that_is_not_what_it_said_is_refused(wrong: Tensor, tmp_path: Path) -> None:
    weight = Weight((2,), torch.float32, lambda: wrong)
    with pytest.raises(ValueError, match=r"w is .*, expected torch\.float32 \(2,\)"):
        write_safetensors(tmp_path / "weights.safetensors", {"w": weight})


def test_other_kinds_of_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"w": torch.zeros(2, dtype=torch.int64)}, path)
    with (
        pytest.raises(CheckpointError, match=r"safetensors: w is I64, expected F32, F16, BF16"),
        open_safetensors(path),
    ):
        pass


@pytest.mark.parametrize("state", [None, {}, [1], {1: torch.zeros(1)}, {"a": "b"}])
def test_what_is_no_dict_of_tensors_is_refused(state: object) -> None:
    with pytest.raises(CheckpointError, match=r"model: .*, expected "):
        pickled_weights(state, Path("model"))
