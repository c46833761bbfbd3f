"""The quickest layout of weights is measured once a processor, and remembered if that can be."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from openmmb.engine.layouts import FILE, measure, processor, quickest
from openmmb.engine.packed import LAYOUTS, PackedLinear, UnpackedLinear, can_pack
from openmmb.files import cache_folder

pytestmark = pytest.mark.skipif(not can_pack(torch.device("cpu")), reason="no oneDNN")


class Slow(UnpackedLinear):
    """A layout that nobody would choose."""

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(50):
            super().forward(x)
        return super().forward(x)


BOTH = {"slow": Slow, "packed": PackedLinear}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder() / FILE


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was measured, in order."""
    results: list[str] = []

    def watched(layouts: dict[str, Callable[..., object]]) -> str:
        results.append("packed")
        return results[-1]

    monkeypatch.setattr("openmmb.engine.layouts.measure", watched)
    return results


def test_the_quickest_is_measured() -> None:
    assert measure(BOTH) == "packed"
    assert measure(LAYOUTS) in LAYOUTS


def test_it_is_measured_once(cache: Path, measured: list[str]) -> None:
    assert [quickest("fp32", BOTH) for _ in range(3)] == [PackedLinear] * 3
    assert measured == ["packed"]
    [(key, name)] = json.loads(cache.read_text()).items()
    assert name == "packed"
    assert processor() in key
    assert torch.__version__ in key


def test_what_is_remembered_is_believed(cache: Path, measured: list[str]) -> None:
    quickest("fp32", BOTH)
    kept = json.loads(cache.read_text())
    cache.write_text(json.dumps(dict.fromkeys(kept, "slow")))
    assert quickest("fp32", BOTH) is Slow
    assert len(measured) == 1


def test_other_kernels_layouts_threads_and_precisions_are_measured_for_themselves(
    monkeypatch: pytest.MonkeyPatch, measured: list[str]
) -> None:
    quickest("fp32", BOTH)
    quickest("bf16", BOTH)
    quickest("fp32", {**BOTH, "plain": UnpackedLinear})
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    quickest("fp32", BOTH)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    quickest("fp32", BOTH)
    assert len(measured) == 5


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[1, 2]", b"{", b'{"a": 1}', b'"' + b"x" * 1000]
)
def test_garbage_in_the_file_is_survived(content: bytes, cache: Path, measured: list[str]) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_bytes(content)
    assert quickest("fp32", BOTH) is PackedLinear
    assert quickest("fp32", BOTH) is PackedLinear
    assert len(measured) == 1


def test_an_unknown_name_in_the_file_is_measured_again(cache: Path, measured: list[str]) -> None:
    quickest("fp32", BOTH)
    cache.write_text(json.dumps(dict.fromkeys(json.loads(cache.read_text()), "gone")))
    assert quickest("fp32", BOTH) is PackedLinear
    assert len(measured) == 2


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: list[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert quickest("fp32", BOTH) is PackedLinear
    assert quickest("fp32", BOTH) is PackedLinear
    assert len(measured) == 2


def test_the_oldest_make_room(cache: Path, measured: list[str]) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(json.dumps({f"old {at}": "packed" for at in range(150)}))
    quickest("fp32", BOTH)
    kept = json.loads(cache.read_text())
    assert len(kept) == 100
    assert "old 149" in kept
    assert "old 10" not in kept
    assert len(measured) == 1


def test_a_single_layout_needs_no_measuring(measured: list[str]) -> None:
    assert quickest("fp32", {"packed": PackedLinear}) is PackedLinear
    assert not measured
