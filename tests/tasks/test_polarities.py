"""Each style of Image-Chat has its polarity, also the two that the published lists lack."""

import json
from pathlib import Path

import pytest

from openmmb.errors import DataError
from openmmb.tasks.polarities import read_polarities

CLASSES = {"positive": ["Sweet"], "neutral": ["Formal (Proper)"], "negative": ["Angry"]}


@pytest.mark.parametrize("folder", ["image_chat", "personalities"])
def test_positive_and_neutral_are_one(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "personalities.json").write_text(json.dumps(CLASSES))
    assert read_polarities(tmp_path) == {
        "Sweet": "positive/neutral",
        "Formal (Proper)": "positive/neutral",
        "Earnest": "positive/neutral",
        "Angry": "negative",
        "Crude": "negative",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", r"personalities\.json: "),
        ('{"positive": [], "neutral": []}', r"personalities\.json: negative: Field required"),
        ("no", r"personalities\.json: Invalid JSON"),
    ],
)
def test_a_file_that_is_none_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "image_chat").mkdir()
    (tmp_path / "image_chat" / "personalities.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_polarities(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"no file image_chat/personalities\.json or personalities/.*; use 'openmmb data",
    ):
        read_polarities(tmp_path)


def test_the_styles_that_the_lists_lack_are_as_in_parlai_whatever_the_lists_say(
    tmp_path: Path,
) -> None:
    (tmp_path / "image_chat").mkdir()
    lists = {"positive": ["Crude"], "neutral": [], "negative": ["Earnest"]}
    (tmp_path / "image_chat" / "personalities.json").write_text(json.dumps(lists))
    assert read_polarities(tmp_path) == {"Crude": "negative", "Earnest": "positive/neutral"}
