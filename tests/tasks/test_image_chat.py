"""Image-Chat yields one styled example a turn, as ParlAI's image_chat:Generation does."""

from pathlib import Path

from openmmb.data.example import Example
from openmmb.tasks.image_chat import ImageChat
from tests.tasks.build import image_chat, write_json


def test_each_turn_has_its_speakers_style_and_the_turns_before(tmp_path: Path) -> None:
    image_chat(tmp_path)
    first, second, third, other = ImageChat(tmp_path).examples("train")
    assert first == Example(
        context=(),
        reply="What a soft cat.",
        task="image_chat",
        conversation="train:0",
        image_id="f00d",
        style="Sweet",
    )
    assert (second.context, second.style) == (("What a soft cat.",), "Formal (Proper)")
    assert (third.context, third.style) == (("What a soft cat.", "It is a lynx."), "Sweet")
    assert (other.conversation, other.image_id) == ("train:1", "beef")


def test_the_small_data_set_and_empty_fields_are_read(tmp_path: Path) -> None:
    row = {"image_hash": "f00d", "dialog": [["", "Hm."], ["Sweet", " "], ["Sweet", "Yes?"]]}
    write_json(tmp_path / "image_chat_mini" / "valid.json", [row])
    first, second = ImageChat(tmp_path).examples("valid")
    assert (first.reply, first.style) == ("Hm.", None)
    assert (second.context, second.reply) == (("Hm.",), "Yes?")
