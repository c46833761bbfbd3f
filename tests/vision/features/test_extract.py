"""However often a run is cut short, and in however many processes, each picture is there once."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torch import Tensor

from openmmb.errors import ConfigError, DataError
from openmmb.vision.features import shards
from openmmb.vision.features.extract import Report, extract
from openmmb.vision.features.share import Share
from openmmb.vision.features.vectors import Features
from openmmb.vision.features.verify import verify
from tests.vision.features.corners import Corners, expect, paint

ROOT = Path(__file__).parents[2]
PROCESS = """
import sys
from openmmb.vision.features import shards
from openmmb.vision.features.extract import extract
from openmmb.vision.features.share import environment_share
from tests.vision.features.corners import Corners

source, out, dies_after = sys.argv[1:]
shards.SHARD_SIZE = 4
encoder = Corners(dies_after=int(dies_after))
print(extract(encoder, [source], out, batch_size=2, share=environment_share()).written)
"""


def start(source: Path, out: Path, share: Share, dies_after: int = 10**9) -> subprocess.Popen[str]:
    """Begin to extract in a process of its own, which a signal kills after so many pictures."""
    command = [sys.executable, "-c", PROCESS, str(source), str(out), str(dies_after)]
    ranks = {"RANK": str(share.rank), "WORLD_SIZE": str(share.world_size)}
    ranks["PYTHONPATH"] = os.pathsep.join((str(ROOT), *sys.path))
    return subprocess.Popen(command, env=os.environ | ranks, stdout=subprocess.PIPE, text=True)


def rows_of(out: Path) -> list[str]:
    """Return the ids of the data set that the folder is."""
    datasets = pytest.importorskip("datasets")
    ids: list[str] = datasets.load_from_disk(str(out))["id"][:]
    return ids


def test_a_run_is_reported(tmp_path: Path) -> None:
    images = paint(tmp_path / "in", 5)
    report = extract(Corners(), [tmp_path / "in"], tmp_path / "out", batch_size=2)
    assert report == Report(written=5, present=0, unreadable=(), others=0)
    expect(Features(tmp_path / "out"), images)


@given(st.integers(1, 11), st.integers(1, 12), st.integers(1, 12), st.lists(st.integers(0, 11)))
@settings(max_examples=25)
def test_any_stops_and_sizes_give_the_same(
    count: int, shard_size: int, batch_size: int, stops: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_SIZE", shard_size)
        source, out = Path(name, "in"), Path(name, "out")
        images = paint(source, count)
        for stop in stops:
            try:
                extract(Corners(fails_after=stop), [source], out, batch_size=batch_size)
            except KeyboardInterrupt:
                assert not list(out.glob("*.tmp"))
        report = extract(Corners(), [source], out, batch_size=batch_size)
        assert report.written + report.present == count
        expect(Features(out), images)
        assert verify(out, [source], encoder="corners").whole


def test_a_killed_process_is_continued(tmp_path: Path) -> None:
    images = paint(tmp_path / "in", 11)
    out = tmp_path / "out"
    process = start(tmp_path / "in", out, Share(), dies_after=8)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(list(out.glob("*.tmp"))) == 1
    encoder = Corners()
    report = extract(encoder, [tmp_path / "in"], out)
    assert (report.present, report.written, len(encoder.seen)) == (8, 3, 3)
    expect(Features(out), images)


def test_killed_ranks_are_continued_by_another_number_of_ranks(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    images = paint(source, 40)
    killed = [start(source, out, Share(rank, 2), dies_after=9) for rank in range(2)]
    for process in killed:
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    other = start(source, out, Share(0, 3))
    written = [extract(Corners(), [source], out, share=Share(r, 3)).written for r in (1, 2)]
    written.append(int(other.communicate()[0]))
    assert sum(written) == 40 - 16
    assert min(written) > 0
    assert sorted(rows_of(out)) == sorted(images)
    assert verify(out, [source], encoder="corners").whole
    expect(Features(out), images)


def test_two_runs_at_once_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    images, more = paint(tmp_path / "in", 5), tmp_path / "more"
    more.mkdir()
    for image_id in ("p1", "p3"):
        images[image_id].save(more / f"{image_id}.png")
    images["q"] = images["p1"]
    images["q"].save(more / "q.png")

    class Slow(Corners):
        def encode(self, images: Sequence[Image.Image]) -> Tensor:
            extract(Corners(), [more], tmp_path / "out")  # meanwhile, elsewhere
            return super().encode(images)

    report = extract(Slow(), [tmp_path / "in"], tmp_path / "out", batch_size=2)
    assert (report.written, report.present) == (3, 2)
    expect(Features(tmp_path / "out"), images)
    assert sorted(rows_of(tmp_path / "out")) == sorted(images)
    assert verify(tmp_path / "out", [tmp_path / "in"], encoder="corners").whole


def test_a_run_that_another_has_overtaken_writes_no_shard(tmp_path: Path) -> None:
    images = paint(tmp_path / "in", 3)

    class Slow(Corners):
        def encode(self, images: Sequence[Image.Image]) -> Tensor:
            extract(Corners(), [tmp_path / "in"], tmp_path / "out")
            return super().encode(images)

    report = extract(Slow(), [tmp_path / "in"], tmp_path / "out")
    assert (report.written, report.present) == (0, 3)
    assert len(list((tmp_path / "out").glob("*.arrow"))) == 1
    expect(Features(tmp_path / "out"), images)


def test_later_sources_are_added(tmp_path: Path) -> None:
    images = paint(tmp_path / "in", 2)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    images |= paint(tmp_path / "in", 4)
    report = extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    assert report == Report(written=2, present=2, unreadable=(), others=0)
    expect(Features(tmp_path / "out"), images)


def test_unreadable_pictures_are_reported_and_tried_again(tmp_path: Path) -> None:
    images = paint(tmp_path / "in", 3)
    bad = tmp_path / "in" / "bad.jpg"
    bad.write_text("text")
    (tmp_path / "in" / "notes.md").write_text("text")
    listed = tmp_path / "out" / "unreadable.jsonl"
    for written in (3, 0):
        report = extract(Corners(), [tmp_path / "in"], tmp_path / "out")
        assert (report.written, report.others) == (written, 1)
        (picture,) = report.unreadable
        assert str(picture).startswith(f"{bad}: not a picture, starts with b'text'")
        (row,) = map(json.loads, listed.read_text().splitlines())
        assert row == {"id": "bad", "where": str(bad), "reason": picture.reason}
        expect(Features(tmp_path / "out"), images)
    images["p0"].save(bad, format="PNG")
    assert extract(Corners(), [tmp_path / "in"], tmp_path / "out").unreadable == ()
    assert not listed.exists()
    expect(Features(tmp_path / "out"), images | {"bad": images["p0"]})


def test_nothing_readable_leaves_an_empty_folder_of_features(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.jpg").touch()
    report = extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    assert (report.written, len(report.unreadable)) == (0, 1)
    assert len(Features(tmp_path / "out")) == 0


def test_flip_mirrors(tmp_path: Path) -> None:
    images = paint(tmp_path / "in", 3)
    extract(Corners(), [tmp_path / "in"], tmp_path / "flipped", flip=True)
    found = Features(tmp_path / "flipped")
    expect(found, {key: ImageOps.mirror(image) for key, image in images.items()})
    assert found.manifest.flip


def test_progress_counts_what_is_to_do(tmp_path: Path) -> None:
    paint(tmp_path / "in", 5)
    (tmp_path / "in" / "bad.jpg").touch()
    calls: list[tuple[int, int]] = []
    for _ in range(2):
        extract(
            Corners(),
            [tmp_path / "in"],
            tmp_path / "out",
            batch_size=4,
            progress=lambda done, total: calls.append((done, total)),
        )
    assert calls == [(4, 6), (6, 6), (1, 1)]


def test_the_folder_is_a_hugging_face_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(shards, "SHARD_SIZE", 2)
    paint(tmp_path / "in", 5)
    for out in (str(tmp_path / "out"), f"memory:/{tmp_path}/out"):
        extract(Corners(), [tmp_path / "in"], out)
        rows = datasets.load_from_disk(out)
        assert rows["id"][:] == ["p0", "p1", "p2", "p3", "p4"]
        wanted = Features(tmp_path / "out")["p4"]
        assert torch.equal(torch.tensor(rows[4]["image"], dtype=torch.float32), wanted)


@pytest.mark.parametrize(
    ("encoder", "flip", "message"),
    [
        (Corners(name="other"), False, "made with encoder 'corners', now 'other'; choose another"),
        (Corners(fingerprint="2"), False, "made with fingerprint '1', now '2'; choose another"),
        (Corners(), True, "made with flip False, now True; choose another folder"),
    ],
)
def test_another_encoder_or_setting_is_refused(
    tmp_path: Path, encoder: Corners, flip: bool, message: str
) -> None:
    paint(tmp_path / "in", 1)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    with pytest.raises(ConfigError, match=message):
        extract(encoder, [tmp_path / "in"], tmp_path / "out", flip=flip)


def test_a_shard_that_is_not_whole_stops_the_run(tmp_path: Path) -> None:
    paint(tmp_path / "in", 1)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    (shard,) = (tmp_path / "out").glob("*.arrow")
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(DataError, match=r"\.arrow: damaged: 100 bytes, expected \d+; delete it"):
        extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    shard.unlink()
    assert extract(Corners(), [tmp_path / "in"], tmp_path / "out").written == 1


def test_numbers_that_float16_cannot_hold_are_refused(tmp_path: Path) -> None:
    class Huge(Corners):
        def encode(self, images: Sequence[Image.Image]) -> Tensor:
            return super().encode(images) + 1e6

    paint(tmp_path / "in", 1)
    with pytest.raises(ValueError, match="beyond float16 or not numbers: 10000"):
        extract(Huge(), [tmp_path / "in"], tmp_path / "out")


def test_a_batch_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        extract(Corners(), [tmp_path], tmp_path / "out", batch_size=0)


def test_without_pyarrow_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    paint(tmp_path / "in", 1)
    with pytest.raises(ConfigError, match=r"pip install 'openmmb\[train\]'"):
        extract(Corners(), [tmp_path / "in"], tmp_path / "out")
