"""A file that is written is read back, on this machine and in a store."""

import os
from pathlib import Path

import pytest

from openmmb.errors import ConfigError, DataError
from openmmb.vision.features.locations import Location, open_location
from openmmb.vision.features.transfer import write


@pytest.fixture(params=["path", "file://", "memory://"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    location = {
        "path": str(tmp_path),
        "file://": f"file://{tmp_path}",
        "memory://": f"memory:/{tmp_path}",
    }[request.param]
    return open_location(location) / "folder"


def test_what_is_written_is_read_back(folder: Location) -> None:
    folder.make_folder()
    file = folder / "a.b.txt"
    assert not file.exists()
    write(file, b"first")
    write(file, b"0123456789")
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


def test_a_folder_lists_its_files(folder: Location) -> None:
    assert folder.sizes() == {}
    (folder / "deep").make_folder()
    for name in ("b", "deep/c", "a"):
        write(folder / name, name.encode())
    assert folder.sizes() == {"a": 1, "b": 1}
    walked = folder.walk()
    assert [location.path.removeprefix(folder.path) for location in walked] == [
        "/a",
        "/b",
        "/deep/c",
    ]
    assert walked[2].read() == b"deep/c"


def test_a_link_to_the_folder_above_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [str(location) for location in open_location(tmp_path).walk()] == [
        str(tmp_path / "file")
    ]


def test_a_path_is_called_as_the_user_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").touch()
    location = open_location("a")
    assert (str(location), str(location / "c")) == ("a", "a/c")
    (found,) = location.walk()
    assert (str(found), found.local) == ("a/b", tmp_path / "a" / "b")


def test_other_urls_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"nowhere://x: Protocol not known: nowhere"):
        open_location("nowhere://x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_what_one_may_not_look_at_is_named(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    with pytest.raises(DataError, match="shut/x: cannot be reached: "):
        (open_location(tmp_path) / "shut" / "x").exists()


def test_a_store_that_cannot_be_reached_is_one_line() -> None:
    fsspec = pytest.importorskip("fsspec")

    class Gone(fsspec.AbstractFileSystem):  # type: ignore[misc, name-defined]
        protocol = "gone"

        def info(self, path: str) -> None:
            raise RuntimeError("no key,\nno house")

        def isdir(self, path: str) -> None:
            self.info(path)

    location = Location(Gone(), "x", "gone://x")
    with pytest.raises(DataError, match=r"gone://x: cannot be reached: no key, no house$"):
        location.is_folder()
