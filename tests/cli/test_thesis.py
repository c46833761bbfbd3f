"""No command changes a file that is somebody's own, wherever it is told to write."""

import hashlib
import io
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.checkpoint import save_checkpoint
from openmmb.cli import COMMANDS, main
from openmmb.config import dump
from openmmb.tasks.download import sources
from openmmb.tasks.download.sources import Source
from openmmb.training.run.log import Log
from tests.build import tiny_checkpoint, tiny_image
from tests.convert.build import as_text_model, copy_micro
from tests.tasks.download.server import serve
from tests.training.build import tiny_recipe

REFUSALS = ("name a", "name another", "expected a")
"""What every refusal of a place ends with, or has in it."""


class Desk:
    """A home with a thesis in it, a folder to work in, and things to read.

    Attributes:
        home: The home; ``thesis`` is a folder in it.
        work: The current folder, with a letter in it.
        read: What commands read.
    """

    def __init__(self, folder: Path) -> None:
        self.home, self.work, self.read = (folder / name for name in ("home", "work", "read"))
        self.thesis = self.home / "thesis"
        for path in (self.thesis / "photos", self.work, self.read / "photos"):
            path.mkdir(parents=True)
        (self.thesis / "thesis.txt").write_text("Chapter 1\nChapter 2", encoding="utf-8")
        (self.thesis / "notes.json").write_text('{"model": "mine"}', encoding="utf-8")
        (self.work / "letter.txt").write_text("Dear all", encoding="utf-8")
        tiny_image().save(self.thesis / "photos" / "me.png")
        tiny_image().save(self.read / "photos" / "dog.png")
        save_checkpoint(tiny_checkpoint(), self.read / "tiny", precision="fp32")
        as_text_model(copy_micro(self.read / "parlai"))
        recipe = tiny_recipe(self.read)
        (self.read / "recipe.toml").write_text(dump(recipe), encoding="utf-8")
        Log(self.read / "run", lambda _: None).write("step", {"step": 10, "loss": 2.5})

    def files(self) -> dict[str, str]:
        """Return what is where: the digests of files, by path; folders too."""
        return {
            str(path): "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
            for root in (self.home, self.work)
            for path in (root, *root.rglob("*"))
        }


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk(tmp_path)
    monkeypatch.setenv("HOME", str(desk.home))
    monkeypatch.chdir(desk.work)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    return desk


PLACES: dict[str, Callable[[Desk], str]] = {
    "folder": lambda desk: str(desk.thesis),
    "file": lambda desk: str(desk.thesis / "thesis.txt"),
    "json": lambda desk: str(desk.thesis / "notes.json"),
    "picture": lambda desk: str(desk.thesis / "photos" / "me.png"),
    "home": lambda desk: str(desk.home),
    "here": lambda desk: ".",
    "above": lambda desk: "..",
    "root": lambda desk: "/",
}
"""Where somebody's own files are."""

Arguments = Callable[[Desk, str], list[str]]

WRITERS: dict[str, tuple[Arguments, ...]] = {
    "convert": (
        lambda desk, place: ["parlai", f"{desk.read}/parlai", place, "--replace"],
        lambda desk, place: ["huggingface", f"{desk.read}/tiny", place, "--to", "huggingface"],
    ),
    "features": (
        lambda desk, place: [
            *("efficientnet_lite0", "--images", f"{desk.read}/photos", "--out", place),
        ],
    ),
    "train": (lambda desk, place: [f"{desk.read}/recipe.toml", "--out", place],),
    "parlai": (
        lambda desk, place: [
            *("tm", "-t", "convai2:normalized", "-dp", f"{desk.read}/data", "-mf", place),
            *("-m", "image_seq2seq", "--init-model", f"{desk.read}/tiny", "-bs", "2"),
            *("-lr", "7e-6", "--optimizer", "adam", "--max-train-steps", "2"),
        ],
    ),
    "plot": (lambda desk, place: [f"{desk.read}/run", "--out", place, "--replace"],),
    "evaluate": (
        lambda desk, place: [
            *(f"{desk.read}/tiny", "--tasks", "dailydialog", "--root", f"{desk.read}/data"),
            *("--max-examples", "1", "--classifier", "none", "--replies", place),
        ],
    ),
}
"""Commands that write where they are told; the last word of each is where."""

OTHERS: dict[str, tuple[Arguments, ...]] = {
    "chat": (lambda desk, place: [f"{desk.read}/tiny", "--classifier", "none"],),
    "reply": (
        lambda desk, place: ["Hi", f"{desk.read}/tiny", "--classifier", "none", "--image", place],
        lambda desk, place: ["Hi", place],
    ),
    "safety": (lambda desk, place: ["Hi", "--classifier", "none", "--guard-words", place],),
    "data list": (lambda desk, place: ["--root", place],),
    "data fetch": (lambda desk, place: ["convai2", "--root", place],),
    "data show": (lambda desk, place: ["dailydialog", "--root", place],),
    "data check": (lambda desk, place: [place],),
    "data stats": (lambda desk, place: [place],),
    "serve": (lambda desk, place: ["--openapi", "--api-key-file", place],),
    "estimate": (lambda desk, place: [place],),
    "push": (lambda desk, place: [place, "somebody/thesis", "--dry-run"],),
}
"""Commands that write nothing, or only what is new, or where a line of a chat says."""


def test_every_command_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever adds a command adds how it is told to write, or that it does not."""
    names = list[str]()
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        usage = capsys.readouterr().out.partition("\n\n")[0]
        inner = re.search(rf"^usage: openmmb {name} (?:\[-h\] )?{{([\w,-]+)}}", usage)
        names += [f"{name} {one}" for one in inner[1].split(",")] if inner else [name]
    assert sorted({**WRITERS, **OTHERS}) == sorted(names)


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("command", WRITERS)
def test_a_writer_refuses_what_is_somebodys(
    desk: Desk, command: str, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = desk.files()
    for arguments in WRITERS[command]:
        code = main([*command.split(), *arguments(desk, PLACES[where](desk))])
        shown = capsys.readouterr()
        assert code == 2, shown
        last = shown.err.splitlines()[-1]
        assert any(words in last for words in REFUSALS), last
        assert desk.files() == before


@pytest.mark.parametrize("where", [where for where in PLACES if where != "root"])
@pytest.mark.parametrize("command", OTHERS)
def test_what_else_commands_do_changes_nothing_of_somebodys(
    desk: Desk, command: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    before, place = desk.files(), PLACES[where](desk)
    with serve() as site:
        site.files["/thesis.txt"] = b"published"
        digest = f"sha256:{hashlib.sha256(b'published').hexdigest()}"
        source = Source(url=f"{site.url}/thesis.txt", digest=digest, folder="thesis")
        monkeypatch.setitem(sources.SOURCES, "convai2", [source])
        for arguments in OTHERS[command]:
            monkeypatch.setattr("sys.stdin", io.StringIO(f"/save {place}\nHi.\n/save {place}\n"))
            with suppress(SystemExit):  # the exit code of a line that could not be done
                main([*command.split(), *arguments(desk, place)])
    after = desk.files()
    assert {path: after.get(path) for path in before} == before


def test_a_checkpoint_is_replaced_only_where_a_script_says_so(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = str(desk.read / "parlai"), desk.read / "converted"
    again = ["convert", "parlai", source, str(out)]
    assert main(again) == 0
    config = (out / "config.toml").read_bytes()
    (out / "config.toml").write_bytes(config + b"# changed\n")
    capsys.readouterr()
    assert main(again) == 2
    assert capsys.readouterr().err == (
        f"openmmb convert: {out}: is a checkpoint; use --replace to replace it\n"
    )
    assert (out / "config.toml").read_bytes() != config
    assert main([*again, "--replace"]) == 0
    assert (out / "config.toml").read_bytes() == config
    (out / "thesis.txt").write_text("mine", encoding="utf-8")
    assert main([*again, "--replace"]) == 2
    assert "holds 'thesis.txt' beside a checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("", 2)])
def test_on_a_terminal_it_is_asked(
    desk: Desk,
    answer: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    again = ["plot", str(desk.read / "run"), "--out", str(desk.read / "curves.png")]
    assert main(again) == 0

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(again) == code
    assert "curves.png: is a plot. Replace it? [y/N] " in capsys.readouterr().err


@pytest.mark.parametrize("place", ["parlai", "parlai/out", "."])
def test_a_source_is_never_written_over(
    desk: Desk, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = desk.read / "parlai"
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    out = desk.read / place
    assert main(["convert", "parlai", str(source), str(out), "--replace"]) == 2
    assert "which is read" in (said := capsys.readouterr().err) or "is what is read" in said
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


def test_a_recipe_that_a_person_wrote_into_the_folder_of_a_run_stays(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    run = desk.read / "mine"
    run.mkdir()
    recipe = replace(tiny_recipe(desk.read), out=str(run))
    text = f"# my own words\n{dump(recipe)}"
    (run / "recipe.toml").write_text(text, encoding="utf-8")
    assert main(["train", str(run / "recipe.toml")]) == 2
    assert "recipe.toml: was not written by a run; set another 'out'" in capsys.readouterr().err
    assert (run / "recipe.toml").read_text(encoding="utf-8") == text


def test_what_stands_beside_the_place_with_a_likely_name_stays(desk: Desk) -> None:
    out = desk.read / "converted"
    for ending in (".partial", ".replaced"):
        folder = desk.read / f"converted{ending}"
        folder.mkdir()
        (folder / "thesis.txt").write_text("mine", encoding="utf-8")
    for _ in range(2):
        command = ["convert", "parlai", str(desk.read / "parlai"), str(out), "--replace"]
        assert main(command) == 0
    for ending in (".partial", ".replaced"):
        text = (desk.read / f"converted{ending}" / "thesis.txt").read_text(encoding="utf-8")
        assert text == "mine"
    assert len(list(desk.read.glob("converted*"))) == 3
