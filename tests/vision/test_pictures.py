"""Folders, lists and archives of the same files name the same pictures."""

import tarfile
from pathlib import Path

import pytest
from PIL import Image

from openmmb.errors import DataError, ImageError
from openmmb.vision.image import DEFAULT_LIMITS, ImageLimits
from openmmb.vision.pictures import list_pictures

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


def test_limits_hold_for_archives_too(folder: Path, tmp_path: Path):
    pictures, _ = list_pictures([pack(folder, tmp_path / "photos.tar")])
    with pytest.raises(ImageError, match=r"photos\.tar:photos/a/.*; at most 10 are read$"):
        pictures[0].load(ImageLimits(max_bytes=10))


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
    with pytest.raises(DataError, match=r"latin\.txt: not a text file: "):
        list_pictures([tmp_path / "latin.txt"])
