"""Tensors that one process wrote are read as those that several wrote together are.

The several are in ``tests/test_distributed.py``.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from openmmb.training.run.sharded import Size, read_shards, read_sizes


def test_one_file_is_read_in_place(tmp_path: Path) -> None:
    written = {"a.b": torch.randn(3, 2), "step": torch.tensor(4.0), "h": torch.ones(2).half()}
    save_file(written, tmp_path / "any.safetensors")
    assert read_sizes(tmp_path) == {
        "a.b": Size(torch.Size([3, 2]), torch.float32),
        "step": Size(torch.Size([]), torch.float32),
        "h": Size(torch.Size([2]), torch.float16),
    }
    into = {name: torch.zeros_like(tensor) for name, tensor in written.items()}
    places = {name: tensor.data_ptr() for name, tensor in into.items()}
    read_shards(tmp_path, into)
    torch.testing.assert_close(into, written, rtol=0, atol=0)
    assert places == {name: tensor.data_ptr() for name, tensor in into.items()}


def test_what_is_not_there_is_not_made_up(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "any.safetensors")
    with pytest.raises(OSError, match=r"^Missing key in checkpoint state_dict: b\.$"):
        read_shards(tmp_path, {"b": torch.zeros(2)})
