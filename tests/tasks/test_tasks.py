"""Every registered task reads its published form into tidy examples, or says what is wrong."""

import re
from pathlib import Path

import pytest

from openmmb.errors import ConfigError, DataError
from openmmb.tasks import ONE_SIDED, TASKS, open_task
from openmmb.text.normalize import tidy
from tests.tasks.build import BUILD


def test_every_task_that_reads_a_root_has_a_fixture() -> None:
    assert set(TASKS) - set(BUILD) == {"picture_talk", "written"}  # with the package


@pytest.mark.parametrize("name", sorted(BUILD))
def test_every_task_reads_its_fixture(name: str, tmp_path: Path) -> None:
    BUILD[name](tmp_path)
    examples = list(open_task(name, tmp_path).examples("train"))
    assert len({example.conversation for example in examples}) == 2
    for example in examples:
        assert example.task == name
        for text in (*example.context, example.reply, *example.references, *example.persona):
            assert text
            assert text == tidy(text)


@pytest.mark.parametrize("name", sorted(BUILD))
def test_reading_twice_gives_the_same(name: str, tmp_path: Path) -> None:
    BUILD[name](tmp_path)
    task = open_task(name, tmp_path)
    assert list(task.examples("train")) == list(task.examples("train"))


@pytest.mark.parametrize("name", sorted(BUILD))
def test_both_sides_only_adds_replies(name: str, tmp_path: Path) -> None:
    BUILD[name](tmp_path)
    one = list(open_task(name, tmp_path).examples("train"))
    both = list(open_task(name, tmp_path, both_sides=True).examples("train"))
    assert set(one) <= set(both)
    if name not in ONE_SIDED:
        assert one == both


@pytest.mark.parametrize("name", sorted(set(BUILD) - {"chitchat"}))  # may be installed
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    folder = re.sub("_(2014|2017|unseen)$", "", name)
    with pytest.raises(DataError, match=rf"{folder}.*no file|no file .*{folder}"):
        list(open_task(name, tmp_path).examples("train"))
    with pytest.raises(DataError, match=rf"{folder}.*no file|no file .*{folder}"):
        open_task(name, tmp_path).files("train")


@pytest.mark.parametrize("name", sorted(BUILD))
def test_a_task_names_the_files_that_it_reads(name: str, tmp_path: Path) -> None:
    BUILD[name](tmp_path)
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert open_task(name, tmp_path).files("train") == (path,)


def test_conversations_of_ones_own_have_a_folder_a_name(tmp_path: Path) -> None:
    BUILD["jsonl"](tmp_path)
    (tmp_path / "jsonl" / "train.jsonl").rename(tmp_path / "train.jsonl")
    (tmp_path / "jsonl" / "shop-1").mkdir()
    (tmp_path / "train.jsonl").rename(tmp_path / "jsonl" / "shop-1" / "train.jsonl")
    examples = list(open_task("jsonl/shop-1", tmp_path).examples("train"))
    assert {example.task for example in examples} == {"jsonl/shop-1"}
    with pytest.raises(ConfigError, match=r"no data set 'jsonl/../x'"):
        open_task("jsonl/../x", tmp_path)


@pytest.mark.parametrize("garbage", [b"[1, 2", b"\xff\xfe\x00", b"[1]", b'"'])
@pytest.mark.parametrize("name", sorted(BUILD))
def test_garbage_is_named(name: str, garbage: bytes, tmp_path: Path) -> None:
    BUILD[name](tmp_path)
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    path.write_bytes(garbage)
    with pytest.raises(DataError, match=path.name) as caught:
        list(open_task(name, tmp_path).examples("train"))
    assert "\n" not in str(caught.value)


def test_an_unknown_task_gets_the_nearest_and_the_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no data set 'imagechat'; did you mean 'image_chat'\?$"):
        open_task("imagechat", tmp_path)
    with pytest.raises(ConfigError, match=r"no data set 'zzz'; expected one of blended"):
        open_task("zzz", tmp_path)
