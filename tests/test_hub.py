"""A model by name is a folder, a bundled one or the hub's, in that order; all else is one line."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from openmmb import hub
from openmmb.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from openmmb.errors import CheckpointError
from tests.build import tiny_checkpoint
from tests.hub_server import Hub, serve

FILES = {"config.toml", "model.safetensors", "tokenizer.json"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub with a checkpoint, and the working directory elsewhere."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with serve(monkeypatch, tmp_path / "cache") as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint, with more files in its folder than belong there."""
    folder = tmp_path / "mine"
    save_checkpoint(tiny_checkpoint(), folder, precision="fp32")
    (folder / "README.md").write_text("# Mine\n")
    (folder / "run.py").write_text("raise SystemExit")
    (folder / "pytorch_model.bin").write_bytes(b"code")
    return folder


def test_a_folder_and_a_bundled_model_come_first(tmp_path: Path, server: Hub, folder: Path) -> None:
    server.add("org/tiny", folder)
    assert hub.resolve(folder) == folder
    assert hub.resolve("tiny") == hub.BUNDLED / "tiny"
    (tmp_path / "work" / "org" / "tiny").mkdir(parents=True)
    assert hub.resolve("org/tiny") == Path("org/tiny")
    for path in ("none", "a/b/c", "/org/tiny", "org/tiny@", "../org/tiny"):
        assert hub.resolve(path) == Path(path)
    assert hub.find_here("org/other") == Path("org/other")
    assert server.asked == []


def test_only_what_is_read_is_downloaded_and_only_once(server: Hub, folder: Path) -> None:
    server.add("org/tiny", folder)
    found = find_checkpoint("org/tiny")
    assert {path.name for path in found.iterdir()} == {*FILES, "README.md"}
    assert server.downloaded() == {*FILES, "README.md"}
    assert load_checkpoint(found).config == load_checkpoint(folder).config
    server.asked.clear()
    assert find_checkpoint(Path("org/tiny")) == found
    assert server.downloaded() == set()


def test_a_revision_may_be_named(server: Hub, folder: Path) -> None:
    server.add("org/tiny", folder)
    found = find_checkpoint(f"org/tiny@{server.commit('org/tiny')}")
    assert found == find_checkpoint("org/tiny@main") == find_checkpoint("org/tiny")
    with pytest.raises(CheckpointError, match=r"^org/tiny: no revision 'old' on the Hugging Face"):
        find_checkpoint("org/tiny@old")


def test_what_was_downloaded_opens_without_a_network(
    server: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add("org/tiny", folder)
    found = find_checkpoint("org/tiny")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    server.asked.clear()
    assert find_checkpoint("org/tiny") == found
    with pytest.raises(
        CheckpointError,
        match=r"^org/other: no such folder here, and the Hugging Face hub is not asked while HF_",
    ):
        find_checkpoint("org/other")
    assert server.asked == []


def test_without_a_network_the_hub_cannot_be_reached(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        CheckpointError,
        match=r"^org/x: no such folder here, and the Hugging Face hub cannot be reached: .",
    ) as caught:
        find_checkpoint("org/x")
    assert "\n" not in str(caught.value)


def test_what_the_hub_refuses_is_one_line(server: Hub, folder: Path) -> None:
    server.add("org/secret", folder)
    server.gated.add("org/secret")
    restricted = (
        rf"^org/secret: access is restricted .* ask for it at {server.url}/org/secret, then"
    )
    with pytest.raises(CheckpointError, match=restricted) as gated:
        find_checkpoint("org/secret")
    with pytest.raises(
        CheckpointError, match=r"^org/x: no such folder here, and no such model on .*; if it is pri"
    ) as missing:
        find_checkpoint("org/x")
    server.broken = True
    with pytest.raises(
        CheckpointError, match=r"^org/y: no such folder here, and .* answers with status 400; try"
    ) as broken:
        find_checkpoint("org/y")
    for caught in (gated, missing, broken):
        assert "\n" not in str(caught.value)


def test_another_kind_of_model_is_refused_before_its_weights_come(server: Hub) -> None:
    server.models["org/gpt"] = {"config.json": b"{}", "model.safetensors": b"x" * 999}
    refused = (
        "org/gpt: the Hugging Face hub has it, but expected an OpenMMB checkpoint, with config.t"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(refused)}"):
        find_checkpoint("org/gpt")
    assert server.downloaded() == set()
    both = hub.resolve("org/gpt", hub.CHECKPOINT, hub.TRANSFORMERS)
    assert {path.name for path in both.iterdir()} == {"config.json", "model.safetensors"}
    assert hub.resolve("org/gpt", hub.TRANSFORMERS) == both


def test_a_checkpoint_is_pushed_and_comes_back(server: Hub, folder: Path) -> None:
    assert hub.push(folder, "org/mine") == f"{server.url}/org/mine"
    assert server.models["org/mine"].keys() == {*FILES, "README.md"}
    assert server.private == set()
    found = find_checkpoint("org/mine")
    assert all((found / name).read_bytes() == (folder / name).read_bytes() for name in FILES)
    (folder / "README.md").unlink()
    hub.push(folder, "org/hidden", private=True)
    assert server.models["org/hidden"].keys() == FILES
    assert server.private == {"org/hidden"}


def test_what_is_no_checkpoint_is_not_pushed(server: Hub, folder: Path) -> None:
    for name in ("mine", "org/mine@main", "a/b/c"):
        with pytest.raises(CheckpointError, match=f"^{name}: expected ORG/NAME, a name on the Hug"):
            hub.push(folder, name)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"mine: no tokenizer\.json; expected a checkpoint"):
        hub.push(folder, "org/mine")
    assert server.asked == []


def test_whoever_pushes_is_told_to_log_in(server: Hub, folder: Path) -> None:
    server.needs_login = True
    with pytest.raises(CheckpointError, match=r"^org/mine: .*log in with `hf auth login`$"):
        hub.push(folder, "org/mine")
    assert server.models == {}
