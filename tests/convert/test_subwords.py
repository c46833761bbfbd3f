"""Texts are split and merged as by ``subword-nmt``, and every piece has ParlAI's id."""

import re
from functools import cache
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from openmmb.convert.subwords import Subwords, read_subwords
from openmmb.convert.vocabulary_file import read_merges
from openmmb.text.tokenizer import CONTROLS, END
from tests.convert.build import pieces

DICT = Path(__file__).parent / "data" / "classifier" / "model.dict"


@cache
def subwords() -> Subwords:
    return read_subwords(
        DICT, null="__null__", start="__start__", end="__start__", unknown="__unk__"
    )


@cache
def listed() -> dict[str, int]:
    lines = DICT.read_text(encoding="utf-8").split("\n")
    return {line.rpartition("\t")[0]: place for place, line in enumerate(lines) if line}


@cache
def ranks() -> dict[tuple[str, str], int]:
    merges = read_merges(Path(f"{DICT}.codecs"))
    return {pair: rank for rank, pair in enumerate(merges)}


def slow(text: str) -> list[int]:
    words = re.findall(r"\w+|[^\w\s]", text, re.UNICODE)
    unknown = listed()["__unk__"]
    return [listed().get(piece, unknown) for word in words for piece in pieces(word, ranks())]


SAID = st.text("thenarmoyu hwsi.,!?'_01é語", max_size=30) | st.text(
    st.characters(exclude_categories=["Cs", "Cn"]), max_size=12
)


@given(SAID)
def test_any_text_has_the_ids_of_the_plain_way(text: str) -> None:
    ids = subwords().tokenizer.encode(text)
    assert [subwords().rows[token] for token in ids] == slow(text)


def test_the_dictionarys_tokens_keep_their_ids() -> None:
    count = len(listed())
    assert subwords().rows[:count] == tuple(range(count))
    assert subwords().tokenizer.start_id == 1
    assert subwords().tokenizer.pad_id == 0


def test_what_the_dictionary_lacks_is_what_it_stands_for() -> None:
    rows, tokenizer = subwords().rows, subwords().tokenizer
    assert rows[tokenizer.special_id(END)] == listed()["__start__"]
    assert {rows[tokenizer.special_id(name)] for name in CONTROLS} == {listed()["__unk__"]}
    assert len(rows) == tokenizer.vocab_size
