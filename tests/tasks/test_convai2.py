"""ConvAI2 yields what ParlAI's convai2:normalized yields, and the partner's side on request."""

from pathlib import Path

import pytest

from openmmb.data.example import Example
from openmmb.errors import DataError
from openmmb.tasks.convai2 import ConvAI2
from tests.tasks.build import CONVAI2_OTHER, convai2, write

BEES = ("I keep bees.", "I'm from oslo.")


def test_replies_are_the_second_speakers_with_its_own_persona(tmp_path: Path) -> None:
    convai2(tmp_path)
    first, second, third = ConvAI2(tmp_path).examples("train")
    assert first == Example(
        context=("Hi! How are you?",),
        reply="I am fine. I've a hive.",
        task="convai2",
        conversation="train:0",
        persona=BEES,
    )
    assert second.context == ("Hi! How are you?", "I am fine. I've a hive.", "Nice, honey!")
    assert second.reply == "Yes, want some?"
    assert (third.conversation, third.persona) == ("train:1", ("I sing.",))


def test_both_sides_learns_the_partner_without_its_persona(tmp_path: Path) -> None:
    convai2(tmp_path)
    examples = list(ConvAI2(tmp_path, both_sides=True).examples("train"))
    assert [example.reply for example in examples[:3]] == [
        "I am fine. I've a hive.",
        "Nice, honey!",
        "Yes, want some?",
    ]
    assert [example.persona for example in examples[:3]] == [BEES, (), BEES]


def test_the_partners_persona_comes_from_its_own_file(tmp_path: Path) -> None:
    convai2(tmp_path)
    path = tmp_path / "convai2" / "train_other_original_no_cands.txt"
    write(path, CONVAI2_OTHER)
    examples = list(ConvAI2(tmp_path, both_sides=True).examples("train"))
    assert [example.persona for example in examples[:3]] == [BEES, ("I bake bread.",), BEES]
    write(path, CONVAI2_OTHER.replace("3 nice , honey !\tyes , want some ?\n", ""))
    with pytest.raises(DataError, match=r"its conversations are not those of train_self_original"):
        list(ConvAI2(tmp_path, both_sides=True).examples("train"))


def test_the_file_without_candidates_will_do(tmp_path: Path) -> None:
    write(tmp_path / "convai2" / "valid_self_original_no_cands.txt", "1 hi .\tho .\n")
    assert [example.reply for example in ConvAI2(tmp_path).examples("valid")] == ["Ho."]


def test_there_is_no_test_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"convai2: the test split .* use 'valid'"):
        list(ConvAI2(tmp_path).examples("test"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 hi\tho\nho ho\n", r"line 2: 'ho ho'; expected '1 text'"),
        ("2 hi\tho\n", r"line 1: begins with number 2, expected 1"),
        ("1 hi there\n", r"line 1: '1 hi there'; expected a tab and a reply"),
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "convai2" / "train_self_original.txt", text)
    with pytest.raises(DataError, match=message):
        list(ConvAI2(tmp_path).examples("train"))
