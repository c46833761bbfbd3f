"""A place is written to only if it is new, empty or of the right kind, and holds no source."""

import os
from pathlib import Path

import pytest

from openmmb.errors import CheckpointError, ConfigError
from openmmb.outputs import OutputKind, check_file, check_folder

KIND = OutputKind("a nest", ("nest.toml", "egg.bin"), ("feather-*",))


def made(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("mine", encoding="utf-8")
    return folder


def refusal(path: Path | str, *sources: Path, grows: bool = False) -> str:
    with pytest.raises(ConfigError) as error:
        check_folder(path, KIND, sources=sources, grows=grows)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("grows", [False, True])
def test_what_is_new_empty_or_of_the_kind_may_be_written_to(tmp_path: Path, grows: bool) -> None:
    whole = made(tmp_path / "whole", "nest.toml", "egg.bin", "feather-1")
    assert not check_folder(tmp_path / "new" / "deep", KIND, grows=grows)
    assert not check_folder(made(tmp_path / "empty"), KIND, grows=grows)
    assert check_folder(whole, KIND, grows=grows)
    assert check_folder(str(whole), KIND, sources=[tmp_path / "other"], grows=grows)
    (tmp_path / "link").symlink_to(whole)
    assert check_folder(tmp_path / "link", KIND, grows=grows)


def test_a_folder_that_is_replaced_holds_nothing_else(tmp_path: Path) -> None:
    begun = made(tmp_path / "begun", "nest.toml")
    mixed = made(tmp_path / "mixed", "nest.toml", "egg.bin", "thesis.txt")
    mine = made(tmp_path / "mine", "thesis.txt")
    assert refusal(begun) == "is not a nest, and holds 'nest.toml'; name a new folder"
    assert refusal(mine) == "is not a nest, and holds 'thesis.txt'; name a new folder"
    assert refusal(mixed) == (
        "holds 'thesis.txt' beside a nest; move it away, or name another folder"
    )
    assert not check_folder(begun, KIND, grows=True)
    assert check_folder(mixed, KIND, grows=True)
    assert "holds 'thesis.txt'" in refusal(mine, grows=True)
    assert refusal(mine / "thesis.txt") == "is a file; expected a folder, or nothing"
    with pytest.raises(CheckpointError, match="is a file"):
        check_folder(mine / "thesis.txt", KIND, error=CheckpointError)


@pytest.mark.parametrize("grows", [False, True])
def test_folders_that_hold_much_else_are_never_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grows: bool
) -> None:
    home, here = made(tmp_path / "people" / "ann"), made(tmp_path / "shop" / "desk")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    assert refusal("/", grows=grows) == "is the root folder; name a new folder"
    assert refusal(home, grows=grows) == "is the home folder; name a new folder"
    assert refusal(home.parent, grows=grows) == "holds the home folder; name a new folder"
    for spelled in (".", "", here, here / ".." / "desk"):
        assert "is the current folder; name a new folder" in refusal(spelled, grows=grows)
    assert refusal("..", grows=grows) == "holds the current folder; name a new folder"
    (here / "link").symlink_to(home)
    assert refusal("link", grows=grows) == "is the home folder; name a new folder"
    assert not check_folder("new", KIND, grows=grows)


def test_a_source_is_never_in_what_is_written_nor_the_other_way_round(tmp_path: Path) -> None:
    source = made(tmp_path / "models" / "mmb", "nest.toml", "egg.bin")
    (tmp_path / "alias").symlink_to(source)
    for same in (source, tmp_path / "alias", source / ".." / "mmb"):
        assert refusal(same, source) == "is what is read; name another folder"
    holds = refusal(tmp_path / "models", source)
    assert holds == f"holds {source}, which is read; name another folder"
    inside = refusal(source / "out", source)
    assert inside == f"is inside {source}, which is read; name another folder"
    assert not check_folder(tmp_path / "models" / "mmb2", KIND, sources=[source])


def test_what_is_no_place_at_all_is_one_line(tmp_path: Path) -> None:
    assert "null byte" in refusal("a\0b")
    assert "File name too long" in refusal(tmp_path / ("a" * 300))
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert refusal(loop)


def test_a_file_is_written_over_only_if_it_is_of_the_kind(tmp_path: Path) -> None:
    mine = made(tmp_path / "mine", "thesis.txt", "nest.txt")
    (mine / "nest.txt").write_text("nest", encoding="utf-8")

    def check(path: Path | str, *sources: Path) -> bool:
        return check_file(path, "a nest", lambda it: it.read_text() == "nest", sources=sources)

    def refused(path: Path | str, *sources: Path) -> str:
        with pytest.raises(ConfigError) as error:
            check(path, *sources)
        return str(error.value).removeprefix(f"{path}: ")

    assert not check(mine / "new.txt")
    assert check(mine / "nest.txt")
    assert refused(mine / "thesis.txt") == "is there, and is not a nest; name another file"
    assert refused(mine) == "is a folder; expected a file, or nothing"
    assert refused(mine / "nest.txt", mine / "nest.txt") == "is what is read; name another file"
    assert refused(os.devnull) == "is there, and is not a nest; name another file"
    assert "null byte" in refused("a\0b")
    assert "too long" in refused("a" * 300)


@pytest.mark.parametrize("grows", [False, True])
def test_what_is_new_is_where_it_was_meant_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grows: bool
) -> None:
    monkeypatch.chdir(made(tmp_path / "here"))
    (tmp_path / "disk").symlink_to(tmp_path / "unmounted")
    os.mkfifo(tmp_path / "pipe")
    there = refusal(tmp_path / "disk", grows=grows)
    assert there == f"is a link to {tmp_path / 'unmounted'}, which is not there; name another place"
    assert "put your home folder for ~; use $HOME" in refusal("~/models/mine", grows=grows)
    assert "expected a name in UTF-8" in refusal("caf\udce9", grows=grows)
    for above in ("pipe", os.devnull):
        assert refusal(tmp_path / above / "a" / "b", grows=grows) == (
            f"{tmp_path / above} is no folder; name another place"
        )
    with pytest.raises(ConfigError, match="is a link to"):
        check_file(tmp_path / "disk", "a nest", Path.is_file)
    assert not (tmp_path / "unmounted").exists()
