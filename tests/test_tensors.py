"""What is written tensor by tensor is what safetensors itself reads and writes."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.tensors import (
    NAMES,
    Weight,
    check_tensor,
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


@pytest.mark.parametrize("dtype", list(NAMES))
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_refused_when_it_is_read(
    dtype: torch.dtype, number: float, tmp_path: Path
) -> None:
    tensor = torch.ones(3, 4).to(dtype)
    tensor[1, 2] = number
    path = tmp_path / "weights.safetensors"
    save_file({"w": tensor}, path)
    message = rf"w has {number} among its numbers, expected finite ones$"
    with open_safetensors(path) as weights, pytest.raises(CheckpointError, match=message):
        weights["w"].read()
    with pytest.raises(CheckpointError, match=message):
        pickled_weights({"w": tensor}, path)["w"].read()


def test_large_numbers_are_numbers(tmp_path: Path) -> None:
    """Their sum is not finite, and they are."""
    for dtype in NAMES:
        check_tensor(tmp_path, "w", torch.full((4,), torch.finfo(dtype).max, dtype=dtype))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.eye(3).to_sparse(),
        torch.zeros(1).expand(10**12),
        torch.zeros(3, device="meta"),
    ],
    ids=["sparse", "expanded", "meta"],
)
def test_what_is_no_plain_tensor_is_refused(tensor: Tensor) -> None:
    with pytest.raises(CheckpointError, match=r"^model: w is "):
        pickled_weights({"w": tensor}, Path("model"))["w"].read()


@pytest.mark.parametrize("length", [2**24 + 1, 2**40, 2**63, 2**64 - 1])
def test_a_header_that_would_fill_the_memory_is_not_read(length: int, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"{}")
    message = f"not safetensors: a header of {length} bytes, expected at most"
    with pytest.raises(CheckpointError, match=message), open_safetensors(path):
        pass


HEADERS = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2**64) | st.sampled_from(["F32", "BF16", "I16"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["dtype", "shape", "data_offsets", "__metadata__", "w", "v"]), inner
        )
    ),
    max_leaves=8,
)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "BF16", "I16", "F8_E4M3", "no"]),
        "shape": st.lists(st.sampled_from([0, 1, 2, 4, 2**62, 2**64 - 1]), max_size=3),
        "data_offsets": st.lists(st.sampled_from([0, 4, 8, 16, 2**63]), min_size=2, max_size=2),
    }
)


@settings(max_examples=150, deadline=None)
@given(
    header=HEADERS | st.dictionaries(st.sampled_from("wv"), ENTRIES), data=st.binary(max_size=16)
)
def test_any_header_is_weights_or_one_line(
    header: object, data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    with suppress(CheckpointError), open_safetensors(path) as weights:
        for weight in weights.values():
            assert weight.read().shape == weight.shape


def test_a_weight_that_was_read_is_memory_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    write_safetensors(
        path, lazy({"a": torch.ones(3, 4, dtype=torch.bfloat16), "b": torch.ones(())})
    )
    with open_safetensors(path) as found:
        first, again = found["a"].read(), found["a"].read()
        first.zero_()
        assert again.eq(1).all()
        assert found["b"].read() == 1


def test_a_file_that_is_cut_off_while_it_is_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    write_safetensors(path, lazy({"a": torch.ones(8), "b": torch.ones(100_000)}))
    with open_safetensors(path) as found:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 4)
        with pytest.raises(CheckpointError, match=r"weights\.safetensors: b: the file ends in the"):
            found["b"].read()
