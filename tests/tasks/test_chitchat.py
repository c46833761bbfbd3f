"""Chit-Chat yields what people said, without what they mashed, from a folder or the package."""

import importlib.util
from pathlib import Path

import pytest

from openmmb.data.example import Example
from openmmb.errors import DataError
from openmmb.tasks.chitchat import Chitchat
from tests.tasks.build import chitchat


def test_mashed_keys_and_repeats_are_left_out(tmp_path: Path) -> None:
    chitchat(tmp_path)
    said = ("Hello Anyone?", "hey!")
    assert list(Chitchat(tmp_path).examples("train")) == [
        Example(said[:1], "hey!", task="chitchat", conversation="a1"),
        Example(said, "how are you", task="chitchat", conversation="a1"),
        Example((), "k", task="chitchat", conversation="b2"),
        Example(("k",), "bye", task="chitchat", conversation="b2"),
    ]


@pytest.mark.parametrize("text", ["sad", "dad", "as", "I", "y", ":)", "?", "15", "a a-ha", "a fad"])
def test_short_words_are_no_mash(tmp_path: Path, text: str) -> None:
    chitchat(tmp_path)
    path = tmp_path / "chitchat" / "dataset.json"
    path.write_text(path.read_text().replace('"hey!"', f'"{text}"'))
    assert next(Chitchat(tmp_path).examples("train")).reply == text


def test_the_installed_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chitchat(tmp_path)
    (tmp_path / "chitchat").rename(tmp_path / "chitchat_dataset")
    (tmp_path / "chitchat_dataset" / "__init__.py").write_text("raise SystemExit('not imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert len(list(Chitchat(tmp_path / "elsewhere").examples("train"))) == 4


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"dataset.json: no such file; pip install 'openmmb\[train"):
        list(Chitchat(tmp_path).examples("train"))


def test_everything_is_train(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"chitchat: no split 'valid'; use 'train', which has everything"
    ):
        list(Chitchat(tmp_path).examples("valid"))
