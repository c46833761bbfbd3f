"""What is read back by image id is what the encoder said, however often the run was cut short."""

import json
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torch import Tensor

from openmmb.errors import ConfigError, DataError
from openmmb.vision import features
from openmmb.vision.features import Features, Report, extract


@dataclass(frozen=True)
class Corners:
    """An encoder: the colours of the left corners, and of the right ones."""

    name: str = "corners"
    num_vectors: int = 2
    feature_dim: int = 3
    fingerprint: str = "1"
    fails_after: int = 10**9
    seen: list[Image.Image] = field(default_factory=list)

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        self.seen.extend(images)
        if len(self.seen) > self.fails_after:
            raise KeyboardInterrupt
        sides = [[image.getpixel((0, 0)), image.getpixel((1, 0))] for image in images]
        return torch.tensor(sides, dtype=torch.float32) / 3


def paint(folder: Path, count: int) -> dict[str, Image.Image]:
    """Save ``count`` pictures of two pixels each."""
    folder.mkdir(exist_ok=True)
    images = {}
    for number in range(count):
        image = Image.new("RGB", (2, 1), (number, 7, 9))
        image.putpixel((1, 0), (200, number, 3))
        image.save(folder / f"p{number}.png")
        images[f"p{number}"] = image
    return images


def expect(found: Features, images: dict[str, Image.Image]) -> None:
    assert sorted(found) == sorted(images)
    for image_id, image in images.items():
        wanted = Corners().encode([image])[0].half().float()
        assert torch.equal(found[image_id], wanted)


def test_features_come_back(tmp_path: Path):
    images = paint(tmp_path / "in", 5)
    report = extract(Corners(), [tmp_path / "in"], tmp_path / "out", batch_size=2)
    assert report == Report(written=5, present=0, unreadable=(), others=0)
    found = Features(tmp_path / "out")
    expect(found, images)
    assert (len(found), found.image_shape, found.manifest.encoder) == (5, (2, 3), "corners")
    assert "p4" in found
    assert "p5" not in found
    assert found["p0"].dtype == torch.float32


@given(st.integers(0, 11), st.integers(1, 12), st.integers(1, 12), st.lists(st.integers(0, 11)))
@settings(max_examples=40, deadline=None)
def test_any_stops_and_sizes_give_the_same(
    count: int, shard_size: int, batch_size: int, stops: list[int]
):
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "SHARD_SIZE", shard_size)
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


def test_a_killed_run_continues(tmp_path: Path):
    script = """
import os, signal, sys
from pathlib import Path
import torch
from openmmb.vision import features

class Dies:
    name, num_vectors, feature_dim, fingerprint, seen = "corners", 2, 3, "1", 0
    def encode(self, images):
        self.seen += len(images)
        if self.seen > 8:
            os.kill(os.getpid(), signal.SIGKILL)
        sides = [[image.getpixel((0, 0)), image.getpixel((1, 0))] for image in images]
        return torch.tensor(sides, dtype=torch.float32) / 3

features.SHARD_SIZE = 4
features.extract(Dies(), [Path(sys.argv[1])], Path(sys.argv[2]), batch_size=2)
"""
    images = paint(tmp_path / "in", 11)
    out = tmp_path / "out"
    command = [sys.executable, "-c", script, str(tmp_path / "in"), str(out)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(list(out.glob("*.tmp"))) == 1
    encoder = Corners()
    report = extract(encoder, [tmp_path / "in"], out)
    assert (report.present, report.written, len(encoder.seen)) == (8, 3, 3)
    expect(Features(out), images)


def test_two_runs_at_once_lose_nothing(tmp_path: Path):
    first, second = paint(tmp_path / "in", 3), tmp_path / "more"
    second.mkdir()
    for image_id, image in first.items():
        image.save(second / f"q{image_id}.png")

    class Slow(Corners):
        def encode(self, images: Sequence[Image.Image]) -> Tensor:
            extract(Corners(), [second], tmp_path / "out")  # meanwhile, elsewhere
            return super().encode(images)

    extract(Slow(), [tmp_path / "in"], tmp_path / "out")
    expect(Features(tmp_path / "out"), first | {f"q{key}": image for key, image in first.items()})


def test_later_sources_are_added(tmp_path: Path):
    images = paint(tmp_path / "in", 2)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    images |= paint(tmp_path / "in", 4)
    report = extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    assert report == Report(written=2, present=2, unreadable=(), others=0)
    expect(Features(tmp_path / "out"), images)


def test_unreadable_pictures_are_reported_and_left_out(tmp_path: Path):
    images = paint(tmp_path / "in", 3)
    (tmp_path / "in" / "bad.jpg").write_text("text")
    (tmp_path / "in" / "notes.md").write_text("text")
    report = extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    assert (report.written, report.others) == (3, 1)
    (reason,) = report.unreadable
    assert reason.startswith(f"{tmp_path / 'in' / 'bad.jpg'}: not a picture, starts with b'text'")
    expect(Features(tmp_path / "out"), images)


def test_nothing_readable_leaves_an_empty_folder_of_features(tmp_path: Path):
    (tmp_path / "bad.jpg").touch()
    report = extract(Corners(), [tmp_path], tmp_path / "out")
    assert (report.written, len(report.unreadable)) == (0, 1)
    assert len(Features(tmp_path / "out")) == 0


def test_flip_mirrors(tmp_path: Path):
    images = paint(tmp_path / "in", 3)
    extract(Corners(), [tmp_path / "in"], tmp_path / "flipped", flip=True)
    found = Features(tmp_path / "flipped")
    expect(found, {key: ImageOps.mirror(image) for key, image in images.items()})
    assert found.manifest.flip


def test_progress_counts_every_picture(tmp_path: Path):
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
    assert calls == [(4, 6), (6, 6), (6, 6)]


def test_the_folder_is_a_hugging_face_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(features, "SHARD_SIZE", 2)
    paint(tmp_path / "in", 5)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    rows = datasets.load_from_disk(str(tmp_path / "out"))
    assert rows["id"][:] == ["p0", "p1", "p2", "p3", "p4"]
    assert torch.equal(
        torch.tensor(rows[4]["image"], dtype=torch.float32), Features(tmp_path / "out")["p4"]
    )


def test_a_pickle_is_a_path(tmp_path: Path):
    images = paint(tmp_path / "in", 3)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    data = pickle.dumps(Features(tmp_path / "out"))
    assert len(data) < 1000
    expect(pickle.loads(data), images)


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
):
    paint(tmp_path / "in", 1)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    with pytest.raises(ConfigError, match=message):
        extract(encoder, [tmp_path / "in"], tmp_path / "out", flip=flip)


def test_a_missing_picture_is_named(tmp_path: Path):
    paint(tmp_path / "in", 1)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    with pytest.raises(DataError, match=r"out: no picture 'p1' among its 1$"):
        Features(tmp_path / "out")["p1"]


def test_other_folders_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"not a folder of features: .*No such file"):
        Features(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not a folder of features: Expecting property name"):
        Features(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"encoder": "corners"}))
    with pytest.raises(DataError, match=r"manifest\.json: fingerprint: missing"):
        Features(tmp_path)


def test_a_damaged_shard_is_named(tmp_path: Path):
    paint(tmp_path / "in", 1)
    extract(Corners(), [tmp_path / "in"], tmp_path / "out")
    (tmp_path / "out" / "00001-x.arrow").write_bytes(b"not arrow at all")
    with pytest.raises(DataError, match=r"00001-x\.arrow: damaged: .*; delete it and extract"):
        Features(tmp_path / "out")


def test_numbers_that_float16_cannot_hold_are_refused(tmp_path: Path):
    class Huge(Corners):
        def encode(self, images: Sequence[Image.Image]) -> Tensor:
            return super().encode(images) + 1e6

    paint(tmp_path / "in", 1)
    with pytest.raises(ValueError, match="beyond float16 or not numbers: 10000"):
        extract(Huge(), [tmp_path / "in"], tmp_path / "out")


def test_a_batch_below_one_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        extract(Corners(), [tmp_path], tmp_path / "out", batch_size=0)


def test_without_pyarrow_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'openmmb\[train\]'"):
        extract(Corners(), [tmp_path], tmp_path / "out")
