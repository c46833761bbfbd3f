"""A file that is written is read back, on this machine and in a store."""

import os
from pathlib import Path

import pytest

from openmmb.errors import ConfigError, DataError
from openmmb.vision.features.places import Place, open_place


@pytest.fixture(params=["path", "file://", "memory://"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    place = {
        "path": str(tmp_path),
        "file://": f"file://{tmp_path}",
        "memory://": f"memory:/{tmp_path}",
    }[request.param]
    return open_place(place) / "folder"


def test_what_is_written_is_read_back(folder: Place) -> None:
    folder.make_folder()
    file = folder / "a.b.txt"
    assert not file.exists()
    file.write(b"first")
    file.write(b"0123456789")
    assert file.exists()
    assert not file.is_folder()
    assert folder.is_folder()
    assert file.read() == b"0123456789"
    assert (file.read(3, 4), file.read(8, 4), file.read(8)) == (b"3456", b"89", b"89")
    with file.open() as opened:
        assert opened.read() == b"0123456789"
    assert (file.stem, file.suffix) == ("a.b", ".txt")
    assert folder.sizes() == {"a.b.txt": 10}
    file.remove()
    file.remove()
    assert folder.sizes() == {}


def test_a_folder_lists_its_files(folder: Place) -> None:
    assert folder.sizes() == {}
    (folder / "deep").make_folder()
    for name in ("b", "deep/c", "a"):
        (folder / name).write(name.encode())
    assert folder.sizes() == {"a": 1, "b": 1}
    walked = folder.walk()
    assert [place.path.removeprefix(folder.path) for place in walked] == ["/a", "/b", "/deep/c"]
    assert walked[2].read() == b"deep/c"


def test_a_file_is_put_when_it_is_whole(folder: Place) -> None:
    folder.make_folder()
    with folder.scratch() as temporary:
        temporary.write_bytes(b"half")
    assert not temporary.exists()
    assert folder.sizes() == {}
    with folder.scratch() as temporary:
        temporary.write_bytes(b"whole")
        (folder / "file").put(temporary)
    assert not temporary.exists()
    assert folder.sizes() == {"file": 5}


def test_a_file_is_here_or_copied_here(
    folder: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder.make_folder()
    file = folder / "file"
    file.write(b"bytes")
    path = file.here(5)
    assert path.read_bytes() == b"bytes"
    assert (path == file.local) == (file.local is not None)
    assert (tmp_path / "cache" in path.parents) == (file.local is None)
    file.download(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"bytes"


def test_a_link_to_the_folder_above_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [str(place) for place in open_place(tmp_path).walk()] == [str(tmp_path / "file")]


def test_a_path_is_called_as_the_user_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").touch()
    place = open_place("a")
    assert (str(place), str(place / "c")) == ("a", "a/c")
    (found,) = place.walk()
    assert (str(found), found.local) == ("a/b", tmp_path / "a" / "b")


def test_other_urls_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"nowhere://x: Protocol not known: nowhere"):
        open_place("nowhere://x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_what_one_may_not_look_at_is_named(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    with pytest.raises(DataError, match="shut/x: cannot be reached: "):
        (open_place(tmp_path) / "shut" / "x").exists()


def test_a_store_that_cannot_be_reached_is_one_line() -> None:
    fsspec = pytest.importorskip("fsspec")

    class Gone(fsspec.AbstractFileSystem):  # type: ignore[misc, name-defined]
        protocol = "gone"

        def info(self, path: str) -> None:
            raise RuntimeError("no key,\nno house")

        def isdir(self, path: str) -> None:
            self.info(path)

    place = Place(Gone(), "x", "gone://x")
    with pytest.raises(DataError, match=r"gone://x: cannot be reached: no key, no house$"):
        place.is_folder()
