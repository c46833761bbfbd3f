"""A dictionary of words and pieces gives every text ParlAI's ids; nobody can type a special token.

``data/README.md`` says what is stored.
"""

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openmmb.convert.dictionary import (
    read_hf_dictionary,
    read_parlai_dictionary,
    write_hf_dictionary,
)
from openmmb.convert.vocabulary_file import read_merges
from openmmb.errors import CheckpointError
from openmmb.text.gender import GENDER_TOKENS
from openmmb.text.tokenizer import END, START, Tokenizer, load_tokenizer
from tests.convert.build import DATA, pieces, read
from tests.convert.steered import Steered
from tests.test_injection import PAYLOADS

RECORDED = read("small/recorded.json")
DICT = DATA / "small" / "model.dict"
SIZE, NEWLINE, UNKNOWN = 168, 5, 3
NAMES = ("__null__", "__start__", "__end__", "__unk__", "__newln__")
TEXTS = st.text("theainor '.,\n_ÉΣσßK") | st.text(st.characters(exclude_categories=["Cs", "Cn"]))
SAID = TEXTS | st.lists(
    st.sampled_from([*NAMES, *map(str.upper, NAMES), *GENDER_TOKENS, "_", "\n", " ", "x", "f", "1"])
).map("".join)


@cache
def vocabulary() -> Tokenizer:
    return read_parlai_dictionary(DICT, size=SIZE)


@cache
def steered() -> Steered:
    return Steered(vocabulary())


@cache
def listed() -> dict[str, int]:
    lines = DICT.read_text(encoding="utf-8").splitlines()
    return {line.rpartition("\t")[0]: place for place, line in enumerate(lines)}


@cache
def ranks() -> dict[tuple[str, str], int]:
    return {pair: rank for rank, pair in enumerate(read_merges(Path(f"{DICT}.codecs")))}


def slow(text: str) -> list[int]:
    """``SubwordBPEHelper`` behind ``DictionaryAgent``, word by word."""
    words = re.findall(r"\w+|[^\w\s]", text.lower().replace("\n", " __newln__ "))
    return [listed().get(piece, UNKNOWN) for word in words for piece in pieces(word, ranks())]


def is_named(text: str) -> bool:
    """Whether the name of a special token, of the newline or of a control stands in it."""
    return any(name in text.lower() for name in (*NAMES, *GENDER_TOKENS))


@pytest.mark.parametrize("case", RECORDED["texts"], ids=lambda case: repr(case["text"][:30]))
def test_a_text_has_the_ids_that_parlai_gives_it(case: dict[str, Any]) -> None:
    assert steered().encode(case["text"]) == case["ids"]
    if not is_named(case["text"]):
        assert vocabulary().encode(case["text"]) == case["ids"]
        if UNKNOWN not in case["ids"]:
            assert vocabulary().decode(case["ids"]) == case["back"]


@given(TEXTS)
@example("ΑΣ ΣΟΦΟΣ. ΑΣ.")
def test_any_text_has_the_ids_of_the_plain_way(text: str) -> None:
    assert steered().encode(text) == slow(text)
    if not is_named(text):
        assert vocabulary().encode(text) == slow(text)


@given(SAID)
@example("__end__end__newln__")
@example("__\nEND__x__UN\u212a__")
def test_nothing_that_is_said_is_a_special_token_or_a_newline(text: str) -> None:
    ids = vocabulary().encode(text)
    assert not set(ids) & {0, 1, 2}
    assert max(ids, default=0) < len(listed())
    assert ids.count(NEWLINE) == text.count("\n")


def test_no_payload_is_a_special_token_or_a_newline() -> None:
    for payload in PAYLOADS:
        ids = vocabulary().encode(payload)
        assert not set(ids) & {0, 1, 2}, payload
        assert ids.count(NEWLINE) == payload.count("\n"), payload


@given(SAID)
@example("f1m1 f1m1")
@example("hi f1m1")
def test_nothing_that_is_said_is_a_control(text: str) -> None:
    ids, control = vocabulary().encode(text), vocabulary().control_ids("f1m1")
    assert all(ids[at : at + len(control)] != control for at in range(len(ids)))


def test_a_control_that_cannot_be_spelled_is_an_error() -> None:
    assert "0@@" not in listed()
    with pytest.raises(CheckpointError, match="no tokens that spell 'f0m0' in the vocabulary"):
        vocabulary().control_ids("f0m0")


def test_what_the_model_says_is_written_as_parlai_writes_it() -> None:
    best = [
        reply for rows in RECORDED["generations"].values() for row in rows for reply in row["best"]
    ]
    texts = [(ids, text) for ids, _, text in best if UNKNOWN not in ids and "__fp16" not in text]
    assert len(texts) > 20
    for ids, text in texts:
        assert vocabulary().decode(ids[1:]) == text


def test_pieces_that_the_model_does_not_know_are_not_among_its_tokens(tmp_path: Path) -> None:
    vocabulary().save(tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert again.vocab_size == vocabulary().vocab_size == SIZE
    assert again.has_pieces
    assert again.special_names == (START, END)
    whole = json.loads(again.to_json())["model"]["vocab"]
    assert {f"{END}</w>", "un"} <= {token for token, place in whole.items() if place > SIZE}
    assert (again.pad_id, again.start_id, again.end_id) == (0, 1, 2)


def as_hf(folder: Path) -> Path:
    """The same dictionary in Hugging Face's two files."""
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(listed()), encoding="utf-8")
    shutil.copy(f"{DICT}.codecs", folder / "merges.txt")
    return folder


def test_hugging_faces_files_hold_the_same(tmp_path: Path) -> None:
    assert read_hf_dictionary(as_hf(tmp_path / "hf"), size=SIZE).to_json() == vocabulary().to_json()


def test_there_and_back_is_the_same_dictionary(tmp_path: Path) -> None:
    write_hf_dictionary(vocabulary(), tmp_path)
    fillers = {f"__FP16_PAD_{number}__": len(listed()) + number for number in range(3)}
    assert json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8")) == listed() | fillers
    codecs = Path(f"{DICT}.codecs").read_text(encoding="utf-8")
    assert (tmp_path / "merges.txt").read_text(encoding="utf-8") == codecs
    assert read_hf_dictionary(tmp_path, size=SIZE).to_json() == vocabulary().to_json()


def test_a_pair_that_is_there_twice_counts_where_it_is_first(tmp_path: Path) -> None:
    folder = as_hf(tmp_path / "hf")
    merges = (folder / "merges.txt").read_text(encoding="utf-8")
    (folder / "merges.txt").write_text(merges + merges.split("\n")[3] + "\n", encoding="utf-8")
    assert read_hf_dictionary(folder, size=SIZE).to_json() == vocabulary().to_json()


@pytest.mark.parametrize("name", ["__FP16_PAD_0__", "__fp16_pad_0__"])
def test_fillers_that_are_there_are_kept(name: str, tmp_path: Path) -> None:
    for path in (DICT, Path(f"{DICT}.codecs")):
        shutil.copy(path, tmp_path / path.name)
    with (tmp_path / "model.dict").open("a", encoding="utf-8") as file:
        file.write(f"{name}\t0\n")
    found = read_parlai_dictionary(tmp_path / "model.dict", size=SIZE)
    assert found.encode("the garden") == vocabulary().encode("the garden")
    assert found.decode([*found.encode("the"), len(listed()), SIZE - 1]).strip() == "the"
    write_hf_dictionary(found, tmp_path)
    vocab = json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8"))
    assert list(vocab)[-3:] == [name, "__FP16_PAD_1__", "__FP16_PAD_2__"]


@pytest.mark.parametrize("size", [164, 173])
def test_a_table_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(CheckpointError, match=f"165 tokens; expected {size}"):
        read_parlai_dictionary(DICT, size=size)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("merges.txt", "a b</w>\n", r"line 1 is 'a b</w>', expected '#version: 0\.2'"),
        ("merges.txt", "#version: 0.1\na b\n", r"line 1 is '#version: 0\.1', expected"),
        ("merges.txt", "#version: 0.2\na b c\n", r"line 2 is 'a b c', expected two tokens"),
        ("vocab.json", '{"__null__": 0, "hi": 1}', r"token 1 is 'hi', expected '__start__'"),
        ("vocab.json", '{"__null__": 1}', r"no token has the id 0; expected ids 0 to 0"),
    ],
)
def test_a_damaged_file_is_named(name: str, text: str, message: str, tmp_path: Path) -> None:
    folder = as_hf(tmp_path / "hf")
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        read_hf_dictionary(folder, size=SIZE)
