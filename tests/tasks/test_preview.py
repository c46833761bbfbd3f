"""What is shown is what is encoded: nothing added, and what is left out is counted."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.data.encode import EncodeConfig, encode
from openmmb.tasks.preview import CUT, NEWLINE, preview, write
from tests.build import tiny_example, tiny_tokenizer

EXAMPLE = replace(
    tiny_example(
        context=("Hi.", "What do you like?"),
        reply="Bread.",
        persona=("i row.",),
        style="Sweet",
    ),
    gender="f0m0",
)
WIDE = EncodeConfig(max_context=100, max_pinned=50, max_reply=50)


def test_each_part_is_shown() -> None:
    shown = preview(EXAMPLE, tiny_tokenizer(), WIDE)
    assert shown.pinned == f"<__style__>Sweet {NEWLINE}<__persona__>i row. {NEWLINE}"
    assert shown.turns == f"Hi. {NEWLINE} What do you like?"
    assert shown.control == "<f0m0><__end__>"
    assert shown.reply == "Bread.<__end__>"
    assert (shown.context_cut, shown.reply_cut) == (0, 0)


def test_what_is_left_out_is_marked_and_counted() -> None:
    whole = preview(EXAMPLE, tiny_tokenizer(), WIDE)
    narrow = EncodeConfig(max_context=15, max_pinned=5, max_reply=3)
    shown = preview(EXAMPLE, tiny_tokenizer(), narrow)
    assert shown.pinned.endswith(f" {CUT}")
    assert shown.turns.startswith(f"{CUT} ")
    assert shown.reply.endswith(f" {CUT}")
    assert (shown.context_tokens, shown.reply_tokens) == (15, 3)
    assert shown.context_cut == whole.context_tokens - 15
    assert shown.reply_cut == whole.reply_tokens - 3


@pytest.mark.parametrize("layout", ["parlai", "parlai_flat"])
def test_in_parlais_layouts_all_is_text(layout: str) -> None:
    config = replace(WIDE, layout=layout)  # type: ignore[arg-type]  # one of the three
    shown = preview(EXAMPLE, tiny_tokenizer(), config)
    assert shown.pinned == ""
    assert shown.turns.startswith("Sweet")
    assert "your persona: i row." in shown.turns
    assert shown.control == "<f0m0><__end__>"


def test_an_opening_about_a_picture_has_no_turns() -> None:
    shown = preview(tiny_example(context=(), reply="Look!"), tiny_tokenizer(), WIDE)
    assert (shown.pinned, shown.turns, shown.control) == ("", "", "<__end__>")


@given(
    st.lists(st.sampled_from(["Hi.", "x" * 30, "A boat, a boat."]), max_size=4),
    st.sampled_from([None, "Sweet"]),
    st.sampled_from([None, "f1m0"]),
    st.integers(6, 60),
)
def test_the_parts_together_are_the_tokens(
    context: list[str], style: str | None, gender: str | None, room: int
) -> None:
    example = replace(
        tiny_example(context=tuple(context), reply="Yes.", style=style), gender=gender
    )
    config = EncodeConfig(max_context=room, max_pinned=4, max_reply=9)
    shown = preview(example, tiny_tokenizer(), config)
    encoded = encode(example, tiny_tokenizer(), config)
    parts = shown.pinned.removesuffix(f" {CUT}"), shown.turns.removeprefix(f"{CUT} ")
    # A part that is written on its own lacks the space before its first word.
    joined = "".join((*parts, shown.control)).replace(" ", "")
    assert joined == write(encoded.context, tiny_tokenizer()).replace(" ", "")
    assert shown.context_tokens == len(encoded.context)
    assert shown.reply_tokens == len(encoded.reply)
