"""Out of an archive come the named files, into one folder, or nothing."""

import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmmb.errors import DataError
from openmmb.files import OWN
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
    (folder / "a.tgz.unpacking").mkdir()
    (folder / "a.tgz.unpacking" / OWN).touch()
    (folder / "a.tgz.unpacking" / "train.json").write_text("half")
    run(folder, tar({"train.json": b"[]"}))
    assert everything(folder) == {"in/train.json": b"[]"}


WHOLE = tar({"a.txt": b"a" * 700, "train.json": b"[]", "b.txt": b"b"}, "w")


def test_a_tar_that_is_cut_anywhere_leaves_nothing(folder: Path) -> None:
    """Inside a header, inside a file and between two, where Python's reader takes it for whole."""
    end = len(WHOLE.rstrip(b"\0")) // 512 * 512 + 512
    for cut in (1, 100, 511, 512, 600, 1536, 1600, 2048, 2560, 3000, end - 512, end):
        with pytest.raises(DataError, match=r"a\.tgz: (not an archive|no file 'train)"):
            run(folder, WHOLE[:cut])
        assert everything(folder) == {}
    assert run(folder, WHOLE[: end + 512]) == {"a.txt": 700, "train.json": 2, "b.txt": 1}


def test_a_damaged_header_is_not_the_end(folder: Path) -> None:
    content = bytearray(WHOLE)
    at = WHOLE.index(b"train.json")
    content[at + 100] ^= 0xFF
    with pytest.raises(DataError, match=r"not an archive that can be read: .*; it is cut"):
        run(folder, bytes(content))
    assert everything(folder) == {}


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_name_that_would_fill_the_memory_is_not_read(folder: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 2**32
    with pytest.raises(DataError, match=f"a name of {2**32} bytes"):
        run(folder, WHOLE[:1536] + header.tobuf() + WHOLE)


def test_a_chain_of_headers_is_one_line(folder: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
    with pytest.raises(DataError, match="not an archive that can be read"):
        run(folder, (header.tobuf() + b"x" + bytes(511)) * 2000 + WHOLE)


def test_a_zip_whose_directory_points_before_its_begin_is_one_line(folder: Path) -> None:
    content = bytearray(zipped({"train.json": b"[]"}))
    content[-6] += 100  # where the directory begins
    with pytest.raises(DataError, match="not an archive that can be read"):
        run(folder, bytes(content))


@settings(max_examples=100, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8
    ),
    cut=st.integers(0, len(WHOLE)),
)
def test_any_damage_is_files_or_one_line(changes: list[tuple[int, int]], cut: int) -> None:
    content = bytearray(WHOLE)
    for at, byte in changes:
        content[at] = byte
    with TemporaryDirectory() as name:
        folder = Path(name, "in")
        folder.mkdir()
        try:
            sizes = run(folder, bytes(content[:cut]))
        except DataError:
            sizes = {}
        left = everything(folder)
        assert {f"in/{one}": size for one, size in sizes.items()} == {
            one: len(data) for one, data in left.items()
        }


def test_a_file_of_somebodys_is_not_written_over(folder: Path) -> None:
    (folder / "a.txt").write_text("my own")
    with pytest.raises(DataError, match=r"a\.txt: is there, and is not what is fetched"):
        run(folder, tar({"train.json": b"[]", "a.txt": b"a"}))
    assert everything(folder) == {"in/a.txt": b"my own"}
    (folder / "a.txt").write_text("a")
    run(folder, tar({"train.json": b"[]", "a.txt": b"a"}))
    assert everything(folder) == {"in/train.json": b"[]", "in/a.txt": b"a"}
