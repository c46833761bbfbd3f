"""Image-Chat yields one styled example a turn, as ParlAI's image_chat:Generation does."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

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


Dialog = list[tuple[str, str]]


def parlai_flattened(dialog: Dialog) -> list[tuple[str, str]]:
    """ParlAI's teacher, an episode a speaker, and then its flattening, as context and reply."""
    flat = []
    for speaker in range(min(2, len(dialog))):
        history: list[str] = []
        for at in range(speaker, len(dialog), 2):
            style, label = dialog[at]
            heard = [dialog[at - 1][1]] if at else []
            history.append("\n".join([style, *heard] if at == speaker else heard))
            flat.append(("\n".join(history), label))
            history.append(label)
    return flat


@given(
    st.lists(
        st.lists(st.sampled_from(["A cat.", "No!", "Why?"]), min_size=1, max_size=5), max_size=4
    )
)
def test_contexts_are_those_of_parlais_teacher_flattened(dialogs: list[list[str]]) -> None:
    styled = [[(("Sweet", "Dry")[at % 2], said) for at, said in enumerate(d)] for d in dialogs]
    rows = [{"image_hash": str(at), "dialog": dialog} for at, dialog in enumerate(styled)]
    with TemporaryDirectory() as root:
        write_json(Path(root) / "image_chat" / "train.json", rows)
        examples = list(ImageChat(Path(root)).examples("train"))
    ours = sorted(("\n".join((str(e.style), *e.context)), e.reply) for e in examples)
    assert ours == sorted(pair for dialog in styled for pair in parlai_flattened(dialog))
