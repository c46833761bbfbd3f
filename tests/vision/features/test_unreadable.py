"""What one run reports the next reader finds, once, whatever their numbers of processes."""

import pytest

from openmmb.errors import DataError
from openmmb.vision.features.locations import Location, open_location
from openmmb.vision.features.share import WHOLE, Share
from openmmb.vision.features.transfer import write
from openmmb.vision.features.unreadable import (
    Unreadable,
    forget_other_runs,
    read_unreadable,
    write_unreadable,
)

BAD = [Unreadable(name, f"in/{name}.jpg", "dämaged\nJPEG\u2028\udcff") for name in "abc"]


@pytest.fixture(params=["path", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: object) -> Location:
    location = open_location(str(tmp_path) if request.param == "path" else f"memory:/{tmp_path}")
    location.make_folder()
    return location


def test_each_rank_reports_its_own(folder: Location) -> None:
    write_unreadable(folder, WHOLE, BAD)
    assert [bad.id for bad in read_unreadable(folder)] == ["a", "b", "c"]
    for rank in range(2):
        write_unreadable(folder, Share(rank, 2), [BAD[rank]])
    for rank in range(2):
        forget_other_runs(folder, Share(rank, 2))
    assert [bad.id for bad in read_unreadable(folder)] == ["a", "b"]
    assert len(folder.sizes()) == 2
    write_unreadable(folder, WHOLE, [])
    forget_other_runs(folder, WHOLE)
    assert folder.sizes() == {}


def test_a_report_says_where_and_why(folder: Location) -> None:
    write_unreadable(folder, WHOLE, BAD[:1])
    (found,) = read_unreadable(folder)
    assert found == BAD[0]
    assert str(found) == "in/a.jpg: dämaged\nJPEG\u2028\udcff"


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "a"}', '{"ID": "a"}'])
def test_a_malformed_report_is_named(folder: Location, line: str) -> None:
    write(folder / "unreadable.jsonl", line.encode())
    with pytest.raises(DataError, match=r"unreadable\.jsonl: malformed: .*; delete it"):
        read_unreadable(folder)
