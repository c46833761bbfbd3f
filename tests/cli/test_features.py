"""Features from the command line: what one process says, each of several, and the check of all."""

import json
from pathlib import Path

import pytest

from openmmb.cli import main
from openmmb.vision.features.vectors import Features
from tests.build import tiny_image

ENCODER = "efficientnet_lite0"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures, one that is none, and a text."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        tiny_image(seed=seed).save(folder / f"{seed}.png")
    (folder / "bad.png").write_text("no")
    (folder / "notes.md").write_text("no")
    return folder


def args(photos: Path, out: Path | str) -> list[str]:
    return ["features", ENCODER, "--images", str(photos), "--out", str(out)]


def test_features_are_computed_once(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = photos.parent / "features"
    rest = "there before, 1 unreadable, 1 other files left out\n"
    for written in (3, 0):
        assert main(args(photos, out)) == 0
        shown = capsys.readouterr()
        assert shown.out == f"{out}: {written} written, {3 - written} {rest}"
        assert f"unreadable: {photos}/bad.png: not a picture" in shown.err
    assert sorted(Features(out)) == ["0", "1", "2"]
    (row,) = (out / "unreadable.jsonl").read_text().splitlines()
    assert json.loads(row)["id"] == "bad"


def test_ranks_share_the_pictures(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = photos.parent / "features"
    monkeypatch.setenv("WORLD_SIZE", "2")
    written = 0
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        assert main(args(photos, out)) == 0
        said = capsys.readouterr().out
        assert f" written by rank {rank} of 2, 0 there before, " in said
        written += int(said.removeprefix(f"{out}: ").split()[0])
    assert written == len(Features(out)) == 3
    assert main([*args(photos, out), "--verify"]) == 2
    assert "--verify: expected one process; start it without torchrun" in capsys.readouterr().err


def test_a_folder_is_verified(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = photos.parent / "features"
    assert main(args(photos, out)) == 0
    capsys.readouterr()
    with pytest.raises(SystemExit, match="1"):
        main([*args(photos, out), "--verify"])
    assert capsys.readouterr().out == (
        f"{out}: 3 of 4 pictures there, 1 missing (1 unreadable), 0 duplicate, 0 damaged files, "
        "0 pictures of other sources\nmissing: bad\n"
    )
    (photos / "bad.png").unlink()
    assert main([*args(photos, out), "--verify"]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: 3 of 3 pictures there, 0 missing")
    (shard,) = out.glob("*.arrow")
    shard.write_bytes(b"\0" + shard.read_bytes()[1:])
    with pytest.raises(SystemExit, match="1"):
        main([*args(photos, out), "--verify"])
    lines = capsys.readouterr().out.splitlines()
    assert "0 of 3 pictures there, 3 missing (0 unreadable), 0 duplicate, 1 damaged" in lines[0]
    assert f"{shard}: damaged: SHA-256 " in lines[1]
    assert lines[2:] == ["missing: 0", "missing: 1", "missing: 2"]


def test_long_lists_are_cut_short(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = photos.parent / "features"
    assert main(args(photos, out)) == 0
    for number in range(12):
        (photos / f"late{number}.png").touch()
    capsys.readouterr()
    assert main(args(photos, out)) == 0
    assert capsys.readouterr().err.count("unreadable: ") == 11
    with pytest.raises(SystemExit, match="1"):
        main([*args(photos, out), "--verify"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert lines[-1] == "missing: 3 more"


def test_mistakes_are_one_line(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, right in (
        (args(photos, "nowhere://x"), "nowhere://x: Protocol not known: nowhere"),
        (args(photos / "none", "out"), "none: no such file or folder"),
        ([*args(photos, photos), "--verify"], "photos: not a folder of features"),
        ([*args(photos, photos), "--encoder-weights", "x"], "expected no weights"),
    ):
        assert main(wrong) == 2
        shown = capsys.readouterr()
        assert (shown.out, shown.err.count("\n")) == ("", 1)
        assert right in shown.err


def test_nothing_done_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, problem in (
        ("", "no pictures"),
        ("notes.txt", "no pictures; files of other kinds: 1"),
        ("bad.png", "no picture that can be read"),
    ):
        if name:
            (photos / name).write_text("no")
        assert not (tmp_path / "features").exists()
        assert main(args(photos, tmp_path / "features")) == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert last == f"openmmb features: {photos}: {problem}"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main([*args(empty, tmp_path / "features"), "--verify"]) == 2
    assert capsys.readouterr().err == f"openmmb features: {empty}: no pictures\n"
