"""Folders, lists and archives of the same files name the same pictures."""

import io
import os
import tarfile
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from openmmb.errors import DataError, ImageError
from openmmb.vision.features.locations import Location
from openmmb.vision.features.pictures import Picture, list_pictures
from openmmb.vision.limits import DEFAULT_LIMITS, ImageLimits

COLOURS = {"a/one.png": "red", "a/b/two.PNG": "blue", "three.v2.bmp": "green"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures at three depths, and two files that are none."""
    folder = tmp_path / "photos"
    for name, colour in COLOURS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (3, 2), colour).save(folder / name)
    (folder / "captions.csv").write_text("a")
    (folder / "._one.png").write_bytes(b"\0\5\x16\7")
    return folder


def pack(folder: Path, out: Path, mode: str = "w") -> Path:
    with tarfile.open(out, mode) as archive:  # type: ignore[call-overload]
        archive.add(folder, "photos")
    return out


def test_all_kinds_of_source_give_the_same_pictures(folder: Path, tmp_path: Path):
    listing = folder / "list.txt"
    names = [*COLOURS, "captions.csv", "._one.png"]
    listing.write_text("".join(f"{name}\n\n" for name in names) + str(folder / "captions.csv"))
    archive = pack(folder, tmp_path / "photos.tar")
    for source, others in ((folder, 3), (listing, 3), (archive, 3)):
        pictures, found = list_pictures([source])
        colours = {p.image_id: p.load(DEFAULT_LIMITS).getpixel((2, 1)) for p in pictures}
        assert colours == {"one": (255, 0, 0), "two": (0, 0, 255), "three.v2": (0, 128, 0)}
        assert found == others


def test_the_order_is_fixed_and_sources_add_up(folder: Path, tmp_path: Path):
    more = tmp_path / "more"
    more.mkdir()
    Image.new("L", (1, 1)).save(more / "aaa.png")
    pictures, _ = list_pictures([folder, more])
    assert [picture.image_id for picture in pictures] == ["two", "one", "three.v2", "aaa"]


def test_a_large_picture_of_an_archive_is_not_read(folder: Path, tmp_path: Path) -> None:
    archive = pack(folder, tmp_path / "photos.tar")
    pictures, _ = list_pictures([archive])
    archive.unlink()
    with pytest.raises(ImageError, match=r"photos\.tar:photos/a/.* \d\d bytes; at most 10 are r"):
        pictures[0].load(ImageLimits(max_bytes=10))


def test_of_a_large_picture_in_a_store_no_more_is_read_than_shows_it(tmp_path: Path) -> None:
    read: list[int] = []

    class Counted(io.BytesIO):
        def read(self, count: int | None = -1, /) -> bytes:
            read.append(len(super().read(count)))
            return bytes(read[-1])

    class Store(fsspec.AbstractFileSystem):  # type: ignore[misc]
        protocol = "counted"

        def _open(self, path: str, mode: str, **settings: object) -> Counted:
            return Counted(bytes(10**6))

    picture = Picture("a", "counted://a.png", Location(Store(), "a.png", "counted://a.png"))
    with pytest.raises(ImageError, match=r"^counted://a\.png: over 99 bytes; at most 99 are read$"):
        picture.load(ImageLimits(max_bytes=99))
    assert read == [100]


def test_a_store_has_the_same_pictures_as_a_folder(folder: Path, tmp_path: Path) -> None:
    names = [*COLOURS, f"memory:/{tmp_path}/photos/captions.csv", "._one.png"]
    (folder / "list.txt").write_text("\n".join(names))
    store = f"memory:/{tmp_path}/photos"
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), f"{tmp_path}/photos", recursive=True)
    memory.put(str(pack(folder, tmp_path / "photos.tar")), f"{tmp_path}/photos.tar")
    (folder / "list.txt").write_text("\n".join(f"{store}/{name}" for name in COLOURS))
    sources = (store, f"{store}/list.txt", f"{store}.tar", folder / "list.txt")
    for source in sources:
        pictures, _ = list_pictures([source])
        colours = {p.image_id: p.load(DEFAULT_LIMITS).getpixel((2, 1)) for p in pictures}
        assert colours == {"one": (255, 0, 0), "two": (0, 0, 255), "three.v2": (0, 128, 0)}


def test_a_picture_that_is_gone_is_an_error_of_its_own(folder: Path, tmp_path: Path) -> None:
    (folder / "list.txt").write_text(f"gone.png\nmemory:/{tmp_path}/gone2.png")
    for picture in list_pictures([folder / "list.txt"])[0]:
        with pytest.raises(ImageError, match=rf"{picture.name}: "):
            picture.load(DEFAULT_LIMITS)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    Path(tmp_path, os.fsdecode(b"\xff.png")).touch()
    with pytest.raises(DataError, match=r"udcff\.png': name is not UTF-8; rename it"):
        list_pictures([tmp_path])


def test_two_pictures_of_one_name_are_refused(folder: Path):
    Image.new("L", (1, 1)).save(folder / "one.bmp")
    with pytest.raises(DataError, match=r"one\.bmp: same id 'one' as .*one\.png; file names"):
        list_pictures([folder])


def test_a_missing_source_is_named(tmp_path: Path):
    with pytest.raises(DataError, match="none: no such file or folder"):
        list_pictures([tmp_path / "none"])


def test_other_kinds_of_source_are_refused(folder: Path, tmp_path: Path):
    with pytest.raises(DataError, match=r"captions\.csv: expected a folder, a \.txt list"):
        list_pictures([folder / "captions.csv"])
    with pytest.raises(DataError, match=r"z\.tar: not an uncompressed tar archive: "):
        list_pictures([pack(folder, tmp_path / "z.tar", "w:gz")])
    (tmp_path / "latin.txt").write_bytes("é.png".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt: expected text in UTF-8: "):
        list_pictures([tmp_path / "latin.txt"])


def cut_at(archive: Path, size: int) -> Path:
    cut = archive.with_name(f"cut-{size}.tar")
    cut.write_bytes(archive.read_bytes()[:size])
    return cut


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_that_is_cut_anywhere_is_refused(form: int, tmp_path: Path) -> None:
    whole = tmp_path / "photos.tar"
    with tarfile.open(whole, "w", format=form) as archive:
        for name in ("a.png", f"{'b' * 120 if form != tarfile.USTAR_FORMAT else 'b'}.png", "c.png"):
            member = tarfile.TarInfo(name)
            member.size = 700
            archive.addfile(member, io.BytesIO(bytes(700)))
        end = archive.offset
    assert len(list_pictures([whole])[0]) == 3
    assert len(list_pictures([cut_at(whole, end + tarfile.BLOCKSIZE)])[0]) == 3
    for size in (*range(0, end, 250), *range(0, end + 1, tarfile.BLOCKSIZE), end + 10):
        with pytest.raises(DataError, match=r"cut-\d+\.tar: (cut off after \d|not an unc)"):
            list_pictures([cut_at(whole, size)])


def test_an_archive_that_is_damaged_between_two_files_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    archive = pack(folder, tmp_path / "photos.tar")
    with tarfile.open(archive) as file:
        second = file.getmembers()[3].offset
    data = bytearray(archive.read_bytes())
    data[second] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(DataError, match=rf"photos\.tar: damaged after 3 files, at byte {second};"):
        list_pictures([archive])


def test_an_archive_of_a_store_that_is_cut_is_refused(folder: Path, tmp_path: Path) -> None:
    archive = pack(folder, tmp_path / "photos.tar")
    with tarfile.open(archive) as file:
        end = file.getmembers()[-1].offset
    fsspec.filesystem("memory").pipe(f"{tmp_path}/cut.tar", archive.read_bytes()[:end])
    with pytest.raises(DataError, match=r"^memory://.*cut\.tar: cut off after \d files"):
        list_pictures([f"memory:/{tmp_path}/cut.tar"])
