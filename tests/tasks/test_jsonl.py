"""Conversations of one's own become examples, or the error names the line and what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from openmmb.data.example import Example
from openmmb.errors import DataError
from openmmb.tasks.jsonl import JsonLines
from tests.tasks.build import jsonl, write

HI = {"speaker": "a", "text": "Hi."}
HO = {"speaker": "b", "text": "Ho."}


def read(tmp_path: Path, *rows: Any) -> list[Example]:
    lines = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    write(tmp_path / "jsonl" / "train.jsonl", lines)
    return list(JsonLines(tmp_path).examples("train"))


def test_every_turn_has_what_its_speaker_has(tmp_path: Path) -> None:
    jsonl(tmp_path)
    first, second, third, other = JsonLines(tmp_path).examples("train")
    assert first == Example(
        context=(),
        reply="Look at that!",
        task="jsonl",
        conversation="train:1",
        image_id="lynx",
    )
    assert second == Example(
        context=("Look at that!",),
        reply="A lynx. Or a cat?",
        task="jsonl",
        conversation="train:1",
        image_id="lynx",
        persona=("I hike.", "I nap."),
        style="Curious",
    )
    assert (third.context, third.persona, third.style) == (
        ("Look at that!", "A lynx. Or a cat?"),
        (),
        None,
    )
    assert other == Example(("Hi.",), "Ho.", task="jsonl", conversation="train:2")


def test_only_what_is_to_be_learnt_is(tmp_path: Path) -> None:
    turns = [HI, HO, HI, HO]
    assert [e.reply for e in read(tmp_path, {"turns": turns, "learn": ["b"]})] == ["Ho.", "Ho."]
    assert [e.reply for e in read(tmp_path, {"turns": turns, "learn": ["a"]})] == ["Hi."]


def test_the_captions_of_a_picture_are_a_turn_with_references(tmp_path: Path) -> None:
    (example,) = read(
        tmp_path, {"turns": [HI], "image": "a.b.png", "references": ["Hello.", " Hey ", ""]}
    )
    assert (example.context, example.image_id, example.references) == ((), "a.b", ("Hello.", "Hey"))


@pytest.mark.parametrize("image", ["v1.2", "x/v1.2", "v1.2.jpeg"])
def test_an_image_is_its_file_name_without_folder_and_suffix(image: str, tmp_path: Path) -> None:
    (example,) = read(tmp_path, {"turns": [HI], "image": image})
    assert example.image_id == "v1.2"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", r"Invalid JSON: EOF"),
        ({}, r"turns: Field required, got \{\}"),
        ({"turns": []}, r"turns is empty; expected at least one$"),
        ({"turns": [{"speaker": "a"}]}, r"turns\.0\.text: Field required"),
        (
            {"turns": [HI, {"speaker": "b", "text": " \t"}]},
            r"turns\.1: text is empty: ' \\t'; leave",
        ),
        ({"turns": [HI, HO], "imag": "x"}, r"imag: no such key$"),
        ({"turns": [HI, {**HO, "mood": 1}]}, r"turns\.1\.mood: no such key$"),
        ({"turns": [HI, HO], "persona": ["I ski."]}, r"persona: Input should be an object, got"),
        ({"turns": [HI, HO], "style": {"c": "Sweet"}}, r"style names 'c', who says .* 'a', 'b'$"),
        ({"turns": [HI, HO], "learn": ["c"]}, r"learn names 'c', who says nothing; speakers are"),
        ({"turns": [HI, HO], "references": ["x"]}, r"references need a single turn, got 2 turns"),
        ({"turns": [HI]}, r"nothing to learn: 1 turns, learn is None; .*where there is an image$"),
        ({"turns": [HI, HO], "learn": ["a"]}, r"nothing to learn: 2 turns, learn is \('a',\);"),
        ({"turns": [HI], "image": ""}, r"image is ''; expected a file name"),
    ],
)
def test_a_wrong_line_is_named(row: Any, message: str, tmp_path: Path) -> None:
    good = {"turns": [HI, HO]}
    with pytest.raises(DataError, match=rf"train\.jsonl: line 2: {message}") as caught:
        read(tmp_path, good, row)
    assert "\n" not in str(caught.value)


def test_a_turn_shows_a_picture_to_itself_and_all_that_follow(tmp_path: Path) -> None:
    turns = [HI, HO, {**HI, "image": "in/lynx.jpg"}, HO, HI, {**HO, "image": "cat.png"}]
    assert [e.image_id for e in read(tmp_path, {"turns": turns})] == [
        None,
        "lynx",
        "lynx",
        "lynx",
        "cat",
    ]
    from_the_start = read(tmp_path, {"turns": turns, "image": "dog.jpg"})
    assert [e.image_id for e in from_the_start[:3]] == ["dog", "dog", "lynx"]


def test_a_turn_that_opens_with_its_picture_is_learnt(tmp_path: Path) -> None:
    (example,) = read(tmp_path, {"turns": [{**HI, "image": "lynx.jpg"}]})
    assert (example.reply, example.image_id) == ("Hi.", "lynx")


def test_a_turn_whose_image_is_no_file_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: .*image is ''; expected a file name"):
        read(tmp_path, {"turns": [HI, {**HO, "image": ""}]})


def test_half_an_emoji_stops_nothing(tmp_path: Path) -> None:
    line = (
        r'{"turns": [{"speaker": "a", "text": "Hi \ud83d"}, {"speaker": "b", "text": "\ude00Ho."}]}'
    )
    (example,) = read(tmp_path, line)
    assert (example.context, example.reply) == (("Hi",), "Ho.")


@pytest.mark.parametrize("text", [r"\ud83d", r"\u3164", r"\u2800 \u200b", "\U000e0041", r"\ufe0f"])
def test_a_turn_of_nothing_visible_is_an_error(text: str, tmp_path: Path) -> None:
    line = f'{{"turns": [{json.dumps(HI)}, {{"speaker": "b", "text": "{text}"}}]}}'
    with pytest.raises(DataError, match=r"line 1: turns\.1: text is empty: .*; leave the turn out"):
        read(tmp_path, line)


def test_what_is_wrong_with_a_long_text_is_a_short_message(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: learn names 'x+\.\.\.$") as info:
        read(tmp_path, {"turns": [HI, HO], "learn": ["x" * 5000]})
    assert len(str(info.value)) < 600 + len(str(tmp_path))
