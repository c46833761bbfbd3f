"""A file is at its location whole or not at all, and a store's file is copied here once."""

from pathlib import Path

import pytest

from openmmb.vision.features.locations import Location, open_location
from openmmb.vision.features.transfer import download, local_copy, put, scratch, write


@pytest.fixture(params=["path", "file://", "memory://"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    location = {
        "path": str(tmp_path),
        "file://": f"file://{tmp_path}",
        "memory://": f"memory:/{tmp_path}",
    }[request.param]
    return open_location(location) / "folder"


def test_a_file_is_put_when_it_is_whole(folder: Location) -> None:
    folder.make_folder()
    with scratch(folder) as temporary:
        temporary.write_bytes(b"half")
    assert not temporary.exists()
    assert folder.sizes() == {}
    with scratch(folder) as temporary:
        temporary.write_bytes(b"whole")
        put(temporary, folder / "file")
    assert not temporary.exists()
    assert folder.sizes() == {"file": 5}


def test_a_file_is_here_or_copied_here(
    folder: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder.make_folder()
    file = folder / "file"
    write(file, b"bytes")
    path = local_copy(file, 5)
    assert path.read_bytes() == b"bytes"
    assert (path == file.local) == (file.local is not None)
    assert (tmp_path / "cache" in path.parents) == (file.local is None)
    download(file, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"bytes"
