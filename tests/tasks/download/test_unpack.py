"""Out of an archive come the named files, into one folder, or nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.errors import DataError
from openmmb.tasks.download.unpack import unpack
from tests.tasks.download.archives import LINK, tar, zipped

Pack = Callable[[Mapping[str, object]], bytes]
BOTH = pytest.mark.parametrize("pack", [tar, zipped])
KEEP = ("train.json", "*.txt")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def run(folder: Path, content: bytes, *, limit: int = 10**6) -> dict[str, int]:
    archive = folder.parent / "a.tgz"
    archive.write_bytes(content)
    return unpack(archive, folder, KEEP, limit=limit)


def everything(folder: Path) -> dict[str, bytes]:
    """What lies under the folder and beside it."""
    return {
        path.relative_to(folder.parent).as_posix(): path.read_bytes()
        for path in folder.parent.rglob("*")
        if path.is_file() and path.name != "a.tgz"
    }


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_kind_of_tar_is_read(folder: Path, mode: str) -> None:
    assert run(folder, tar({"train.json": b"[]"}, mode)) == {"train.json": 2}
    assert everything(folder) == {"in/train.json": b"[]"}


@BOTH
def test_only_named_files_come_out_of_whatever_folder(folder: Path, pack: Pack) -> None:
    members = {
        "set/deep/train.json": b"[1]",
        "set/a.txt": b"a",
        "set/._a.txt": b"left by another system",
        "set/README.md": b"#",
        "set/train.json.bak": b"x",
    }
    assert run(folder, pack(members)) == {"train.json": 3, "a.txt": 1}
    assert everything(folder) == {"in/train.json": b"[1]", "in/a.txt": b"a"}


@BOTH
@pytest.mark.parametrize(
    "name",
    [
        "../../train.json",
        "/etc/train.json",
        "a/../../train.json",
        "..\\train.json",
        "C:\\train.json",
    ],
)
def test_no_path_leads_elsewhere(folder: Path, pack: Pack, name: str) -> None:
    assert run(folder, pack({name: b"[]"})) == {"train.json": 2}
    assert everything(folder) == {"in/train.json": b"[]"}


@given(st.text(st.sampled_from("./\\atx~ :"), min_size=1, max_size=12))
def test_whatever_a_file_is_called_it_stays_in_the_folder(name: str) -> None:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "in"
        folder.mkdir()
        run(folder, zipped({"train.json": b"[]", f"{name}.txt": b"x"}))
        assert all(path.startswith("in/") for path in everything(folder))


@BOTH
@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.txt": b"a"}, r"a.tgz: no file 'train.json' in it"),
        ({"train.json": LINK}, r"a.tgz: 'train.json' is not a plain file; it is not unpacked"),
        ({"a/train.json": b"1", "b/train.json": b"2"}, r"a.tgz: 'train.json' is in it twice"),
        ({"train.json": b"1" * 999, "a.txt": b"2" * 999}, r"a.tgz: more than 1000 bytes in it"),
    ],
)
def test_what_is_not_as_expected_leaves_nothing(
    folder: Path, pack: Pack, members: Mapping[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        run(folder, pack(members), limit=1000)
    assert everything(folder) == {}


def test_a_link_that_is_not_wanted_is_left_alone(folder: Path) -> None:
    assert run(folder, tar({"train.json": b"[]", "link": LINK})) == {"train.json": 2}


def test_a_bomb_is_not_blown_up(folder: Path) -> None:
    with pytest.raises(DataError, match="more than 1000 bytes"):
        run(folder, zipped({"train.json": b"\0" * 10**7}), limit=1000)
    assert everything(folder) == {}


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_damaged_archive_leaves_nothing(folder: Path, pack: Pack, share: float) -> None:
    content = pack({"train.json": bytes(range(256)) * 999, "a.txt": b"a"})
    with pytest.raises(DataError, match=r"a\.tgz: (not an archive that can be read|no file)"):
        run(folder, content[: int(len(content) * share)])
    assert everything(folder) == {}


def test_what_an_interrupted_run_left_is_removed(folder: Path) -> None:
    (folder / ".a.tgz.unpacking").mkdir()
    (folder / ".a.tgz.unpacking" / "train.json").write_text("half")
    run(folder, tar({"train.json": b"[]"}))
    assert everything(folder) == {"in/train.json": b"[]"}
