"""Photographs come one by one; what cannot be had is skipped and written down."""

import json
from pathlib import Path

import pytest

from openmmb.errors import DataError
from openmmb.tasks.download import photos as module
from openmmb.tasks.download.photos import REPORT, fetch_photos
from openmmb.tasks.download.resumable import UnreachableError
from openmmb.tasks.download.sources import PHOTOS, Photos
from tests.tasks.download.server import Site, drop_at, hang_up, say

JPEG = b"\xff\xd8\xff\xe0 a photograph"
IDS = [f"{number:08x}" for number in range(5)]


@pytest.fixture
def photos(site: Site) -> Photos:
    url = f"{site.url}/{{a}}/{{b}}/{{id}}.jpg"
    photos = Photos(url=url, folder="photos", flag="--yes", terms="ask")
    for image_id in IDS:
        site.files[path_of(image_id)] = JPEG + image_id.encode()
    return photos


def path_of(image_id: str) -> str:
    return f"/{image_id[:3]}/{image_id[3:6]}/{image_id}.jpg"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {REPORT}


def test_every_photograph_comes_once(site: Site, photos: Photos, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    report = fetch_photos(
        photos, IDS * 2, tmp_path, progress=lambda done, total: told.append((done, total))
    )
    assert (report.fetched, report.before, report.missing) == (5, 0, {})
    assert names(report.folder) == {f"{image_id}.jpg" for image_id in IDS}
    assert (report.folder / f"{IDS[3]}.jpg").read_bytes() == JPEG + IDS[3].encode()
    assert told[-1] == (5, 5)
    again = fetch_photos(photos, IDS, tmp_path)
    assert (again.fetched, again.before) == (0, 5)
    assert len(site.requests) == 5


def test_what_cannot_be_had_is_written_down(site: Site, photos: Photos, tmp_path: Path) -> None:
    site.faults[path_of(IDS[0])] = [say(404)]
    site.faults[path_of(IDS[1])] = [say(403)]
    site.files[path_of(IDS[2])] = b"<html>this photograph is gone</html>"
    site.faults[path_of(IDS[3])] = [say(503), drop_at(5), hang_up]
    report = fetch_photos(photos, [*IDS, "../../etc/passwd"], tmp_path, wait=lambda _: None)
    assert names(report.folder) == {f"{IDS[3]}.jpg", f"{IDS[4]}.jpg"}
    assert (report.folder / f"{IDS[3]}.jpg").read_bytes() == JPEG + IDS[3].encode()
    assert (report.fetched, len(report.missing)) == (2, 4)
    lines = (report.folder / REPORT).read_text(encoding="utf-8").splitlines()
    reasons = {row["image_id"]: row["reason"] for row in map(json.loads, lines)}
    assert reasons == report.missing
    assert "the server says 404" in reasons[IDS[0]]
    assert "the server says 403" in reasons[IDS[1]]
    assert reasons[IDS[2]].endswith("what came is not a JPEG file")
    assert reasons["../../etc/passwd"] == "the id is not one of these photographs"


def test_a_later_run_fetches_what_was_missing(site: Site, photos: Photos, tmp_path: Path) -> None:
    site.faults[path_of(IDS[0])] = [say(404)]
    assert len(fetch_photos(photos, IDS, tmp_path).missing) == 1
    report = fetch_photos(photos, IDS, tmp_path)
    assert (report.fetched, report.before, report.missing) == (1, 4, {})
    assert (report.folder / REPORT).read_text() == ""


def test_a_server_that_is_gone_ends_it(
    site: Site, photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    for image_id in IDS[2:]:
        site.faults[path_of(image_id)] = [hang_up] * 9
    with pytest.raises(UnreachableError, match=r"\.jpg: .*, 5 times in a row"):
        fetch_photos(photos, IDS, tmp_path, workers=1, wait=lambda _: None)
    assert {f"{IDS[0]}.jpg", f"{IDS[1]}.jpg"} <= names(tmp_path / "photos")


def test_what_somebody_has_there_stays(site: Site, photos: Photos, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    mine = folder / f"{IDS[0]}.jpg"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("mine")
    partial = folder / f"{IDS[1]}.jpg.partial"
    partial.write_text("mine")
    report = fetch_photos(photos, IDS, tmp_path)
    assert report.missing[IDS[0]].startswith(f"{mine}: is there, and is not a photograph")
    assert (report.fetched, partial.read_text()) == (4, "mine")
    assert (mine / "thesis.txt").read_text() == "mine"
    (folder / REPORT).write_text('["mine"]\n')
    with pytest.raises(DataError, match=r"missing\.jsonl: is there, and is not a report of miss"):
        fetch_photos(photos, IDS, tmp_path)
    assert (folder / REPORT).read_text() == '["mine"]\n'


def test_the_address_of_a_photograph_is_made_of_its_id() -> None:
    url = PHOTOS["image_chat"].url_of("abcdef0123456789")
    assert url.endswith("/data/images/abc/def/abcdef0123456789.jpg")
