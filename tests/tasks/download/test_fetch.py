"""A published file is fetched once, whatever interrupts it, and never over somebody's own files."""

import hashlib
import json
from pathlib import Path

import pytest

from openmmb.errors import DataError
from openmmb.files import OWN
from openmmb.tasks.download.fetch import RECORD, fetch
from openmmb.tasks.download.resumable import UnreachableError
from openmmb.tasks.download.sources import SOURCES, Source
from tests.tasks.download.archives import tar
from tests.tasks.download.server import Site, drop_at, hang_up

ARCHIVE = tar({"set/train.json": b"[1]", "set/README": b"#", "set/a_1.txt": b"a"})
FILES = {"train.json": b"[1]", "a_1.txt": b"a"}
WORDS = b"he\nhim\n"


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def archive(site: Site) -> Source:
    site.files["/x/set.tgz"] = ARCHIVE
    return Source(
        url=f"{site.url}/x/set.tgz",
        digest=sha256(ARCHIVE),
        folder="set",
        keep=("train.json", "a_*.txt"),
    )


@pytest.fixture
def words(site: Site) -> Source:
    site.files["/words.txt"] = WORDS
    return Source(url=f"{site.url}/words.txt", digest=sha256(WORDS), folder="set")


def content(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "set").iterdir()}


def test_an_archive_leaves_its_files_and_where_they_are_from(
    archive: Source, tmp_path: Path
) -> None:
    done = fetch(archive, tmp_path)
    assert (done.folder, done.files, done.before) == (tmp_path / "set", 2, False)
    found = content(tmp_path)
    record = json.loads(found.pop(RECORD))
    assert found == FILES
    assert record == {
        "set.tgz": {
            "url": archive.url,
            "digest": archive.digest,
            "files": {"a_1.txt": 1, "train.json": 3},
        }
    }


def test_nothing_is_fetched_twice(
    site: Site, archive: Source, words: Source, tmp_path: Path
) -> None:
    for source in (archive, words):
        fetch(source, tmp_path)
    for source in (archive, words):
        assert fetch(source, tmp_path).before
    assert len(site.requests) == 2
    assert content(tmp_path)["words.txt"] == WORDS


def test_a_file_that_was_lost_is_fetched_again(site: Site, archive: Source, tmp_path: Path) -> None:
    fetch(archive, tmp_path)
    (tmp_path / "set" / "a_1.txt").unlink()
    assert not fetch(archive, tmp_path).before
    assert content(tmp_path)["a_1.txt"] == b"a"
    assert len(site.requests) == 2


def test_another_publication_replaces_what_was_fetched(
    site: Site, archive: Source, tmp_path: Path
) -> None:
    fetch(archive, tmp_path)
    newer = tar({"train.json": b"[1, 2]"})
    site.files["/x/set.tgz"] = newer
    source = Source(url=archive.url, digest=sha256(newer), folder="set", keep=archive.keep)
    assert not fetch(source, tmp_path).before
    assert content(tmp_path)["train.json"] == b"[1, 2]"


def test_an_interrupted_unpacking_begins_again(site: Site, archive: Source, tmp_path: Path) -> None:
    begun = tmp_path / "set" / "set.tgz.partial"
    begun.mkdir(parents=True)
    (begun / OWN).touch()
    (begun / "set.tgz").write_bytes(ARCHIVE)
    (tmp_path / "set" / "train.json").write_bytes(b"[1]")
    fetch(archive, tmp_path)
    found = content(tmp_path)
    del found[RECORD]
    assert found == FILES
    assert site.requests == []


def test_an_interrupted_transfer_is_gone_on_with(
    site: Site, archive: Source, tmp_path: Path
) -> None:
    site.faults["/x/set.tgz"] = [drop_at(50)] + [hang_up] * 9
    with pytest.raises(UnreachableError, match="50 bytes are kept"):
        fetch(archive, tmp_path, wait=lambda _: None)
    site.faults.clear()
    fetch(archive, tmp_path)
    assert site.requests[-1][1] == "bytes=50-"
    assert content(tmp_path).keys() == {*FILES, RECORD}


@pytest.mark.parametrize("mine", [ARCHIVE, b"half of it"], ids=["the same", "another"])
def test_somebodys_archive_of_that_name_stays(
    mine: bytes, site: Site, archive: Source, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    for name in ("set.tgz", "set.tgz.partial"):
        (tmp_path / "set" / name).write_bytes(mine)
    fetch(archive, tmp_path)
    found = content(tmp_path)
    assert found["train.json"] == b"[1]"
    assert (found["set.tgz"], found["set.tgz.partial"]) == (mine, mine)
    assert len(site.requests) == (mine != ARCHIVE)


def test_somebodys_folder_in_the_place_of_a_file_stays(
    site: Site, archive: Source, words: Source, tmp_path: Path
) -> None:
    for source, name in ((archive, "train.json"), (words, "words.txt"), (archive, "a_1.txt")):
        mine = tmp_path / name / "set" / name
        mine.mkdir(parents=True)
        (mine / "thesis.txt").write_bytes(b"mine")
        with pytest.raises(DataError, match=rf"{name}: is "):
            fetch(source, tmp_path / name)
        assert (mine / "thesis.txt").read_bytes() == b"mine"


def test_ones_own_files_are_not_written_over(
    site: Site, archive: Source, words: Source, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    for source, name in ((archive, "train.json"), (words, "words.txt")):
        (tmp_path / "set" / name).write_bytes(b"mine")
        with pytest.raises(DataError, match=rf"{name}: is there, and was not fetched by this com"):
            fetch(source, tmp_path)
        assert content(tmp_path)[name] == b"mine"
    assert site.requests == []


def test_the_published_file_in_its_place_is_taken(
    site: Site, words: Source, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "words.txt").write_bytes(WORDS)
    fetch(words, tmp_path)
    assert site.requests == []


@pytest.mark.parametrize("text", ["{", '{"set.tgz": 3}'])
def test_a_record_that_is_none_is_named(archive: Source, tmp_path: Path, text: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / RECORD).write_text(text)
    with pytest.raises(
        DataError, match=r"fetched.json: expected a record of this command: .*; delete"
    ):
        fetch(archive, tmp_path)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_published_file_can_be_checked(name: str) -> None:
    for source in SOURCES[name]:
        kind, _, digest = source.digest.partition(":")
        assert (kind, len(digest)) in {("sha256", 64), ("git", 40)}
        assert set(digest) <= set("0123456789abcdef")
        assert source.url.startswith(("https://", "http://"))
        assert "." in source.name
        assert bool(source.keep) == source.name.endswith((".tgz", ".tar.gz", ".zip"))
