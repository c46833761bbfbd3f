"""Data sets are listed, fetched, shown and counted, or one line says what is wrong."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.cli import main
from openmmb.config import dump
from openmmb.data.controls import ControlsConfig
from openmmb.data.encode import EncodeConfig
from openmmb.tasks import TASKS
from openmmb.tasks.download import sources
from openmmb.tasks.download.sources import PHOTOS, SOURCES, Photos, Source
from tests.build import PERSONALITIES, write_tiny_data
from tests.tasks.build import BUILD, CONVAI2, write_json
from tests.tasks.download.archives import tar
from tests.tasks.download.server import Site, serve
from tests.training.build import PICTURES, TEXT, tiny_recipe

TINY = ("convai2", "flickr8k")
JPEG = b"\xff\xd8\xff\xe0"
CONVERSATION = {"image_hash": "abcdef0123456789", "dialog": [["Sweet", "Soft."], ["Angry", "No."]]}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server on this machine that publishes convai2, image_chat and its one photograph."""
    monkeypatch.setenv("no_proxy", "*")
    with serve() as site:
        publish(site, monkeypatch, "convai2", {"train_self_original.txt": CONVAI2})
        files = {"train.json": [CONVERSATION], "personalities.json": PERSONALITIES}
        publish(site, monkeypatch, "image_chat", {k: json.dumps(v) for k, v in files.items()})
        url = f"{site.url}/{{a}}/{{b}}/{{id}}.jpg"
        photos = Photos(url, "image_chat/photos", "--accept-yfcc", PHOTOS["image_chat"].terms)
        monkeypatch.setitem(PHOTOS, "image_chat", photos)
        yield site


def publish(site: Site, monkeypatch: pytest.MonkeyPatch, name: str, files: dict[str, str]) -> None:
    content = tar({f"x/{path}": text.encode() for path, text in files.items()})
    site.files[f"/{name}.tgz"] = content
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    source = Source(f"{site.url}/{name}.tgz", digest, name, keep=tuple(files))
    monkeypatch.setitem(SOURCES, name, (source,))


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that cannot be done and return its one line."""

    def run(*args: str) -> str:
        assert main(["data", *args]) == 2
        shown = capsys.readouterr()
        assert shown.err.startswith("openmmb data: ")
        assert shown.err.count("\n") == 1
        return shown.err

    return run


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command and return what it prints."""

    def run(*args: str) -> str:
        assert main(["data", *args]) == 0
        return capsys.readouterr().out

    return run


def test_list_says_what_is_at_hand(printed: Callable[..., str], tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    rows = {line.split()[0]: line for line in printed("list", "--root", str(tmp_path)).splitlines()}
    assert set(rows) == {"name", "gender_words", *TASKS}
    assert "  train, valid  131,438 / 7,801" in rows["convai2"]
    assert "  -             27,018 / 5,651 / 5,482" in rows["blended_skill_talk"]
    assert "CC BY-NC-SA 4.0" in rows["dailydialog"]


def test_list_counts_what_is_at_hand(printed: Callable[..., str], tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    lines = printed("list", *TINY, "--root", str(tmp_path), "--count").splitlines()
    assert "convai2 train: 3 of 131,438 examples as published" in lines
    assert "flickr8k valid: 2 of 1,000 examples as published" in lines
    assert len(lines) == 3 + 4


def test_list_knows_what_there_is(complaint: Callable[..., str]) -> None:
    assert "no data set 'convai'; did you mean 'convai2'?" in complaint("list", "convai")


def test_fetch_brings_what_was_published(
    site: Site, printed: Callable[..., str], tmp_path: Path
) -> None:
    args = ("fetch", "convai2", "image_chat", "--root", str(tmp_path))
    out = printed(*args).splitlines()
    assert out == [
        "convai2: licence: CC BY 4.0",
        f"{tmp_path}/convai2: 1 file, from {site.url}/convai2.tgz",
        "convai2 train: 3 of 131,438 examples as published",
        "image_chat: licence: none stated; photos: CC each",
        f"{tmp_path}/image_chat: 2 files, from {site.url}/image_chat.tgz",
        "image_chat train: 2 of 355,862 examples as published",
    ]
    assert f"{tmp_path}/convai2: 1 file, there before" in printed(*args)
    assert len(site.requests) == 2


def test_photographs_need_consent(
    site: Site, complaint: Callable[..., str], tmp_path: Path
) -> None:
    error = complaint("fetch", "image_chat", "--pictures", "--root", str(tmp_path))
    assert "YFCC100M" in error
    assert "then use --accept-yfcc" in error
    assert site.requests == []


@pytest.mark.parametrize("there", [True, False])
def test_photographs_come_or_are_said_to_be_missing(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path, *, there: bool
) -> None:
    if there:
        site.files["/abc/def/abcdef0123456789.jpg"] = JPEG
    args = ["fetch", "image_chat", "--pictures", "--accept-yfcc", "--root", str(tmp_path)]
    assert main(["data", *args]) == 0
    shown = capsys.readouterr()
    folder = tmp_path / "image_chat" / "photos"
    counts = "1 fetched, 0 there before, 0 missing" if there else "0 fetched, 0 there before, 1 mis"
    assert f"{folder}: {counts}" in shown.out
    assert (folder / "abcdef0123456789.jpg").exists() == there
    assert ("missing.jsonl: says which are missing and why" in shown.err) == (not there)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "fetch: expected at least one of blended_skill_talk, coco"),
        (("convai",), "no data set 'convai'; did you mean 'convai2'?"),
        (
            ("chitchat",),
            "chitchat: cannot be fetched: pip install 'openmmb[train]' brings it along",
        ),
        (("jsonl",), "jsonl: cannot be fetched: write {train,valid,test}.jsonl into its folder"),
    ],
)
def test_what_is_not_fetched_is_said(
    names: tuple[str, ...], message: str, complaint: Callable[..., str], tmp_path: Path
) -> None:
    assert message in complaint("fetch", *names, "--root", str(tmp_path))


def test_a_server_without_the_file_is_one_line(
    site: Site, complaint: Callable[..., str], tmp_path: Path
) -> None:
    del site.files["/convai2.tgz"]
    error = complaint("fetch", "convai2", "--root", str(tmp_path))
    assert "/convai2.tgz: the server says 404" in error


def test_show_prints_what_a_model_sees(printed: Callable[..., str], tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    flags = ("--root", str(tmp_path), "-n", "2", "--start", "1", "--checkpoint", "tiny")
    out = printed("show", "image_chat", *flags)
    assert out.splitlines()[:3] == [
        "vocabulary of tiny; controls of epoch 0",
        "",
        "image_chat train 1: train:0",
    ]
    assert "  picture  f00d: 49 vectors of 1280, efficientnet_lite0\n" in out
    assert "  turns    What a soft cat.\n" in out
    assert "  reply    It is a lynx.<__end__>\n" in out
    assert out.count("image_chat train") == 2


def recipe_file(tmp_path: Path, *, gender: bool = True) -> str:
    recipe = tiny_recipe(tmp_path, tasks=(*TEXT, *PICTURES))
    recipe = replace(
        recipe,
        controls=ControlsConfig(gender=gender, category_frac=1.0),
        encode=EncodeConfig(max_context=16, max_pinned=8, max_reply=8),
        data=replace(recipe.data, root=str(tmp_path / "data")),
    )
    path = tmp_path / "recipe.toml"
    path.write_text(dump(recipe), encoding="utf-8")
    return str(path)


def test_show_takes_the_controls_and_lengths_of_a_recipe(
    printed: Callable[..., str], tmp_path: Path
) -> None:
    recipe = recipe_file(tmp_path)
    out = printed("show", "image_chat", "--recipe", recipe, "-n", "3")
    assert "<__style__>positive/neutral" in out
    assert "<f0m0><__end__>" in out
    assert "of 16" in out
    out = printed("show", "convai2", "--recipe", recipe, "--split", "valid", "--epoch", "2")
    assert "convai2 valid 0: valid:0" in out
    assert "left out" in out


def test_show_takes_conversations_of_ones_own(printed: Callable[..., str], tmp_path: Path) -> None:
    BUILD["jsonl"](tmp_path)
    write_json(tmp_path / "image_chat" / "personalities.json", PERSONALITIES)
    out = printed("show", "jsonl", "--root", str(tmp_path))
    assert "  picture  lynx: 49 vectors" in out
    assert "jsonl train 2: train:1" in out


def test_show_says_where_the_examples_end(complaint: Callable[..., str], tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    error = complaint("show", "convai2", "--root", str(tmp_path), "--start", "9")
    assert "--start: 9, but split 'train' of convai2 has fewer examples" in error
    assert "no data set 'convai'; did you mean" in complaint("show", "convai")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("show", "convai2", "-n", "0"), "--number: must be at least 1, got 0"),
        (
            ("show", "convai2", "-n", f"{2**70}"),
            f"--number: must be at most 2147483647, got {2**70}",
        ),
        (("show", "convai2", "--start", "-1"), "--start: must be at least 0, got -1"),
        (("show", "convai2", "--start", f"{2**63}"), "--start: must be at most 2147483647, got 92"),
        (("show", "convai2", "--epoch", "-1"), "--epoch: must be at least 0, got -1"),
        (("show", "convai2", "--epoch", f"{2**64}"), "--epoch: must be at most 2147483647, got 18"),
        (("stats", "tiny-1-text", "--max-examples", "0"), "--max-examples: must be at least 1, g"),
        (("stats", "tiny-1-text", "--max-examples", f"{2**65}"), "--max-examples: must be at most"),
    ],
)
def test_numbers_out_of_range_are_one_line(
    flags: tuple[str, ...], message: str, complaint: Callable[..., str]
) -> None:
    assert message in complaint(*flags)


@pytest.mark.parametrize("task", ["picture_talk", "written/styled"])
def test_what_comes_with_the_package_is_shown_on_a_fresh_machine(
    task: str, printed: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = printed("show", task, "-n", "40")
    assert out.count(f"{task} train ") == 40
    assert "<__style__>" in out
    assert list(tmp_path.iterdir()) == []


def test_traits_of_ones_own_conversations_are_shown_as_they_are_without_their_polarities(
    printed: Callable[..., str], tmp_path: Path
) -> None:
    BUILD["jsonl"](tmp_path)
    out = printed("show", "jsonl", "--root", str(tmp_path), "-n", "9")
    assert "<__style__>Curious" in out


def test_stats_counts_a_recipe(printed: Callable[..., str], tmp_path: Path) -> None:
    out = printed("stats", recipe_file(tmp_path))
    rows = {line.split()[0]: line.split() for line in out.splitlines()}
    assert rows["image_chat"][1] == "4"
    assert "about a picture" in out
    assert "f0m0" in out
    assert "tokens are those of the vocabulary of small" in out
    assert "lengths and controls" not in out
    out = printed("stats", recipe_file(tmp_path, gender=False), "--max-examples", "1")
    assert "f0m0" not in out
    assert "lengths and controls are those of at most 1 examples of each task" in out


def test_stats_takes_the_vocabulary_that_is_asked_for(
    complaint: Callable[..., str], tmp_path: Path
) -> None:
    error = complaint("stats", recipe_file(tmp_path), "--checkpoint", str(tmp_path))
    assert "config.toml" in error


def test_a_vocabulary_that_lacks_the_tokens_of_a_recipe_is_one_line(
    complaint: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("turns.toml").write_text(
        'name = "a"\nout = "a"\nstart = "made/elsewhere"\n[[tasks]]\nname = "chitchat"\n'
        '[encode]\nlayout = "turns"\n'
    )
    for args in (("stats", "turns.toml"), ("show", "chitchat", "--recipe", "turns.toml")):
        assert complaint(*args, "--checkpoint", "tiny").endswith(
            "start: made/elsewhere is not here; the vocabulary of tiny has no tokens for "
            "encode.layout 'turns'; use --checkpoint\n"
        )


def test_the_published_places_are_not_this_machine() -> None:
    assert all("127.0.0.1" not in s.url for ss in sources.SOURCES.values() for s in ss)
