"""A GGUF file gives what the format's own package reads, or one line that says what is wrong."""

import struct
from contextlib import suppress
from pathlib import Path

import gguf
import pytest
import torch
from gguf import GGMLQuantizationType
from hypothesis import given, settings
from hypothesis import strategies as st

from openmmb.errors import CheckpointError
from openmmb.pretrained.gguf_blocks import QUANTISATIONS
from openmmb.pretrained.gguf_file import GgufFile
from tests.pretrained.build import wide, write_gguf


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "whole.gguf"
    write_gguf(path, wide("smollm2"), "llama")
    return path.read_bytes()


@pytest.mark.parametrize("kind", [GGMLQuantizationType(number) for number in QUANTISATIONS])
def test_fields_and_tensors_are_those_of_the_package(
    tmp_path: Path, kind: GGMLQuantizationType
) -> None:
    write_gguf(tmp_path / "a.gguf", wide("qwen2.5"), "qwen2", kind=kind)
    reader = gguf.GGUFReader(tmp_path / "a.gguf")
    with GgufFile(tmp_path / "a.gguf") as file:
        theirs = {name: f.contents() for name, f in reader.fields.items() if "." in name}
        assert file.fields == {n: v for n, v in theirs.items() if not n.startswith("GGUF.")}
        assert list(file.tensors) == [tensor.name for tensor in reader.tensors]
        for tensor in reader.tensors:
            expected = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).copy())
            found = file.read(tensor.name)
            assert found.dtype == torch.float32
            assert found.equal(expected.view(found.shape))
        assert {stored.kind.name for stored in file.tensors.values()} == {kind.name, "F32"}


def test_arrays_of_every_kind_are_read(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_array("words", ["a", "ä", ""])
    writer.add_array("numbers", [1, 2, 3])
    writer.add_array("scores", [0.5, -1.0])
    writer.add_bool("flag", val=True)
    for step in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        step()
    with GgufFile(tmp_path / "a.gguf") as file:
        assert file.fields["words"] == ["a", "ä", ""]
        assert file.fields["numbers"] == [1, 2, 3]
        assert file.fields["scores"] == [0.5, -1.0]
        assert file.field("flag", bool) is True
        with pytest.raises(CheckpointError, match="flag is a bool"):
            file.field("flag", int)
        with pytest.raises(CheckpointError, match="no field size"):
            file.field("size", int)


def header(*, version: int = 3, tensors: int = 0, fields: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, fields)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def tensor(name: str = "w", *, shape: tuple[int, ...] = (32,), kind: int = 0, at: int = 0) -> bytes:
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + sizes + struct.pack("<IQ", kind, at)


HUGE = 1 << 60
HOSTILE = {
    "pickle": (b"\x80\x04K\x01." + bytes(30), "begins with"),
    "version": (header(version=9), "it is of version 9; expected 2 or 3"),
    "cut": (header()[:10], "ends at byte 10, in the middle of its header"),
    "many fields": (header(fields=HUGE), f"{HUGE} fields and 0 tensors"),
    "many tensors": (header(tensors=HUGE), f"0 fields and {HUGE} tensors"),
    "long string": (header(fields=1) + struct.pack("<Q", HUGE), "in the middle of its header"),
    "long array": (
        header(fields=1) + text("a") + struct.pack("<IIQ", 9, 0, HUGE),
        f"a field has {HUGE} values",
    ),
    "array beyond the end": (
        header(fields=1) + text("a") + struct.pack("<IIQ", 9, 10, 1 << 20),
        "in the middle of its header",
    ),
    "array of arrays": (
        header(fields=1) + text("a") + struct.pack("<IIQ", 9, 9, 1),
        "a field holds values of the type 9",
    ),
    "type": (header(fields=1) + text("a") + struct.pack("<I", 77), "a field is of the type 77"),
    "no text": (header(fields=1) + struct.pack("<Q", 1) + b"\xff", "codec can't decode"),
    "field twice": (
        header(fields=2) + (text("a") + struct.pack("<IB", 0, 1)) * 2,
        "field 'a' is there twice",
    ),
    "alignment": (
        header(fields=1) + text("general.alignment") + struct.pack("<II", 4, 0),
        "general.alignment is 0",
    ),
    "dimensions": (
        header(tensors=1) + text("w") + struct.pack("<I", 1 << 31),
        "w has 2147483648 dimensions",
    ),
    "no rows": (header(tensors=1) + tensor(shape=(0, 4)), r"w is \(4, 0\)"),
    "large": (header(tensors=1) + tensor(shape=(HUGE, HUGE)), "goes beyond its end"),
    "far": (header(tensors=1) + tensor(at=HUGE) + bytes(512), "goes beyond its end"),
    "tensor twice": (header(tensors=2) + tensor() * 2 + bytes(512), "tensor 'w' is there twice"),
    "half a block": (
        header(tensors=1) + tensor(shape=(33,), kind=8) + bytes(512),
        "expected a multiple of 32 at the end",
    ),
    "other quantisation": (
        header(tensors=1) + tensor(shape=(256,), kind=14) + bytes(512),
        "w is stored as Q6_K; expected F32, F16, BF16, Q8_0, Q4_0, Q4_1",
    ),
    "no quantisation": (
        header(tensors=1) + tensor(kind=999) + bytes(512),
        "w is stored as type 999; expected",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gets_one_line(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        GgufFile(path)
    assert str(caught.value).startswith(f"{path}: expected a whole GGUF file: ")
    assert "\n" not in str(caught.value)


def test_what_is_no_file_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        GgufFile(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(CheckpointError, match="empty"):
        GgufFile(tmp_path / "empty")


@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_file_is_read_or_gets_one_line(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(4000, len(whole) - 1)))] = data.draw(
            st.integers(0, 255)
        )
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(content[: data.draw(st.integers(1, len(whole)))])
    with suppress(CheckpointError), GgufFile(path) as file:
        for name in file.tensors:
            file.read(name)
