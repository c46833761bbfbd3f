"""The page on one's own data can be followed as it stands, from the dialogues to a reply."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from openmmb.checkpoint import CheckpointConfig
from openmmb.cli import main
from openmmb.config import load
from openmmb.hub import BUNDLED
from tests.build import tiny_image
from tests.training.build import records

PAGE = Path(__file__).parent.parent / "docs" / "own-data.md"
FEWER_UPDATES = ["--schedule.max-steps", "2", "--schedule.warmup-steps", "1"]
FEWER_EXAMPLES = ["--max-examples", "2"]


def blocks(kind: str) -> list[str]:
    """The page's blocks of one kind, in order."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return [text for name, text in fenced if name == kind]


def commands() -> list[list[str]]:
    """The words behind ``openmmb`` of every command that stands in a block."""
    lines = "".join(blocks("")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("openmmb ")]


def test_every_step_is_on_the_page() -> None:
    assert [words[0] for words in commands()] == ["data", "features", "train", "evaluate", "reply"]


def test_the_page_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [dialogues], [recipe] = blocks("json"), blocks("toml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "jsonl" / "shop").mkdir(parents=True)
    (tmp_path / "data/jsonl/shop/train.jsonl").write_text(dialogues, encoding="utf-8")
    (tmp_path / "pictures").mkdir()
    tiny_image().save(tmp_path / "pictures" / "window.png")
    (tmp_path / "shop.toml").write_text(recipe, encoding="utf-8")
    printed = {}
    for words in commands():
        more = {"train": FEWER_UPDATES, "evaluate": FEWER_EXAMPLES}.get(words[0], [])
        assert main([*words, *more]) == 0, capsys.readouterr().err
        printed[words[0]] = capsys.readouterr()
    assert "6 conversations" in printed["data"].out
    assert "pictures: 1 named, all in pictures" in printed["data"].out
    assert "styles: Warm, a shopkeeper 3" in printed["data"].out
    assert printed["train"].out == "runs/shop/checkpoint\n"
    assert "jsonl/shop" in printed["evaluate"].out
    assert printed["reply"].out.strip()
    settings = load(CheckpointConfig, tmp_path / "runs/shop/checkpoint/config.toml")
    tiny = load(CheckpointConfig, BUNDLED / "tiny" / "config.toml")
    assert settings.name == tomllib.loads(recipe)["name"]
    assert (settings.search, settings.encode) == (tiny.search, tiny.encode)
    assert (settings.gender, settings.image_style) == (tiny.gender, tiny.image_style)
    told = [str(record["text"]) for record in records(tmp_path / "runs/shop", "note")]
    for line in re.findall(r"^note   (.*)$", "".join(blocks("")), re.M):
        assert any(text.startswith(line.removesuffix("...")) for text in told)


def test_a_faulty_line_and_a_missing_picture_are_told_and_end_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, pictures = tmp_path / "mine.jsonl", tmp_path / "pictures"
    pictures.mkdir()
    tiny_image().save(pictures / "other.png")
    first, *_ = (json.loads(line) for line in blocks("json")[0].splitlines())
    rows = [{**first, "image": "gone.png"}, {**first, "lern": ["ann"]}]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    assert main(["data", "check", str(path), "--images", str(pictures)]) == 2
    shown = capsys.readouterr()
    assert f"{path}: line 2: lern: no key 'lern'; did you mean 'learn'?" in shown.err
    assert f"openmmb data: {path}: 1 of 2 lines are faulty" in shown.err
    assert f"pictures: 1 named, 1 missing in {pictures}: gone" in shown.out
    path.write_text(f"{json.dumps(rows[0])}\n", encoding="utf-8")
    assert main(["data", "check", str(path), "--images", str(pictures)]) == 2
    assert "pictures that it names are missing: 1" in capsys.readouterr().err
    path.write_text("\n", encoding="utf-8")
    assert main(["data", "check", str(path)]) == 2
    assert "no conversations in it; expected one a line" in capsys.readouterr().err
