"""What is written appears whole or not at all; what is read is text, or one line says why not."""

import os
import subprocess
from pathlib import Path

import pytest

from openmmb.errors import CheckpointError, ConfigError, unknown
from openmmb.files import (
    OWN,
    PARTIAL,
    cache_folder,
    kept_aside,
    open_text,
    read_json,
    read_text,
    replacing,
    write_whole,
)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "made" / "notes.txt"
    write_whole(path, "first")
    write_whole(path, b"second")
    assert path.read_text(encoding="utf-8") == "second"
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    write_whole(path, "before")

    def interrupted() -> None:
        with replacing(path) as partial:
            partial.write_text("half", encoding="utf-8")
            assert path.read_text(encoding="utf-8") == "before"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for number in ("one", "two"):
        with replacing(folder) as partial:
            partial.mkdir()
            (partial / number).touch()
    assert [path.name for path in folder.iterdir()] == ["two"]
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("left", ["model.partial", "model.replaced"])
def test_what_a_crash_left_beside_a_folder_is_not_in_the_way(left: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for number in ("one", "two"):
        (tmp_path / left / "model").mkdir(parents=True)
        (tmp_path / left / OWN).touch()
        with replacing(folder) as partial:
            partial.mkdir()
            (partial / number).touch()
    assert [path.name for path in folder.iterdir()] == ["two"]
    assert list(tmp_path.iterdir()) == [folder]


def test_text_may_begin_with_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"\xef\xbb\xbfhello")
    assert read_text(path) == "hello"


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    with pytest.raises(ConfigError, match=r"words\.txt: No such file or directory$"):
        read_text(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match=r"words\.txt: expected text in UTF-8: .+$"):
        read_text(path, error=CheckpointError)
    path.write_text('{"a": ', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"words\.txt: expected JSON: .+ at line 1 column 7$"):
        read_json(path)
    path.write_text("9" * 10_000, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"words\.txt: expected JSON: Exceeds the limit .+$"):
        read_json(path)
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"words\.txt: expected JSON: it is nested too deeply$"):
        read_json(path)


def test_an_unknown_name_is_answered_with_the_nearest_or_with_all() -> None:
    assert unknown("dog", "rxe", ["rex", "bo"]) == "no dog 'rxe'; did you mean 'rex'?"
    assert unknown("dog", "zz", ["rex", "bo"]) == "no dog 'zz'; expected one of bo, rex"


def test_a_text_is_read_piece_by_piece_with_its_line_ends_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\n")
    with open_text(path, newline="") as file:
        assert file.read() == "a\r\nb\n"
    with open_text(path) as file:
        assert list(file) == ["a\n", "b\n"]
    path.write_bytes(b"a\n\xff")
    with pytest.raises(CheckpointError, match=r"lines\.csv: expected text in UTF-8: "):
        read_all(path)


def read_all(path: Path) -> None:
    with open_text(path, error=CheckpointError) as file:
        assert list(file)


def test_the_cache_is_where_the_machine_has_its_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "openmmb"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kept"))
    assert cache_folder() == tmp_path / "kept" / "openmmb"


@pytest.mark.parametrize("left", ["notes.txt.partial", "notes.txt.replaced"])
def test_what_somebody_has_beside_a_file_stays(left: str, tmp_path: Path) -> None:
    (tmp_path / left).mkdir()
    (tmp_path / left / "thesis.txt").write_text("mine", encoding="utf-8")
    for text in ("first", "second"):
        write_whole(tmp_path / "notes.txt", text)
    assert (tmp_path / left / "thesis.txt").read_text(encoding="utf-8") == "mine"
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "second"
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_kept_aside_is_there_for_the_next_call(tmp_path: Path) -> None:
    def interrupted() -> None:
        with kept_aside(tmp_path / "a", PARTIAL) as folder:
            (folder / "half").write_text("half")
            with kept_aside(tmp_path / "a", PARTIAL) as other:  # in use, so another one
                assert other.name == "a.partial-1"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with kept_aside(tmp_path / "a", PARTIAL) as folder:
        assert (folder.name, (folder / "half").read_text()) == ("a.partial", "half")
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_are_not_in_each_others_way(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    with replacing(path) as first:
        first.write_text("first", encoding="utf-8")
        write_whole(path, "second")
        assert first.exists()
    assert path.read_text(encoding="utf-8") == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for name in ("notes.txt", "model"):
        (tmp_path / name).symlink_to(tmp_path / "far" / name)
    for text in ("first", "second"):
        write_whole(tmp_path / "notes.txt", text)
        with replacing(tmp_path / "model") as partial:
            partial.mkdir()
            (partial / text).touch()
    assert (tmp_path / "far" / "notes.txt").read_text(encoding="utf-8") == "second"
    assert [path.name for path in (tmp_path / "far" / "model").iterdir()] == ["second"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_symlink()) == [
        *("model", "notes.txt")
    ]


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/full", "pipe", "a\0b"])
def test_what_is_no_file_ends_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")  # which nobody writes to
    if name == "pipe":
        assert read_text(tmp_path / name) == ""
        return
    with pytest.raises(ConfigError, match=r"is a device; expected a file|null byte"):
        read_text(tmp_path / name)


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    with subprocess.Popen(["echo", "told"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert read_text(Path(f"/dev/fd/{process.stdout.fileno()}")) == "told\n"
