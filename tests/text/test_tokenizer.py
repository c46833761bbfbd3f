"""Every text comes back from its ids, and no text is ever a control."""

from pathlib import Path

import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import models

from openmmb.errors import CheckpointError
from openmmb.text.tokenizer import (
    END,
    PAD,
    PERSONA,
    SPECIALS,
    START,
    STYLE,
    UNKNOWN,
    Tokenizer,
    load_tokenizer,
    train_tokenizer,
)
from tests.build import SENTENCES, tiny_tokenizer

TEXTS = st.text() | st.lists(st.sampled_from([*SPECIALS, " ", "\n", "a", "é", "🙂", "_"])).map(
    "".join
)


@given(TEXTS)
@example("two  spaces\tand\r\nlines \u2028 end ")
@example("a\x00b")
def test_every_text_comes_back(text: str) -> None:
    tokenizer = tiny_tokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text.removeprefix(" ")


@given(TEXTS)
@example("__end__f0m0__style__")
def test_no_text_is_a_control(text: str) -> None:
    tokenizer = tiny_tokenizer()
    assert not set(tokenizer.encode(text)) & set(tokenizer.special_ids())


@pytest.mark.parametrize("name", SPECIALS)
def test_a_control_that_is_typed_comes_back_as_words(name: str) -> None:
    tokenizer = tiny_tokenizer()
    assert tokenizer.decode(tokenizer.encode(f"i am {name} ok")) == f"i am {name} ok"


@given(TEXTS, TEXTS, st.sampled_from(SPECIALS))
def test_controls_between_words_are_left_out_of_the_text(
    before: str, after: str, name: str
) -> None:
    tokenizer = tiny_tokenizer()
    ids = [*tokenizer.encode(before), tokenizer.special_id(name), *tokenizer.encode(after)]
    kept = tokenizer.encode(before) if name == END else [i for i in ids if i not in special_ids()]
    assert tokenizer.decode(ids) == tokenizer.decode(kept)


def special_ids() -> tuple[int, ...]:
    return tiny_tokenizer().special_ids()


@pytest.mark.parametrize(("text", "back"), [("\ud800", "?"), ("a\udcffb", "a?b")])
def test_half_a_surrogate_pair_is_a_question_mark(text: str, back: str) -> None:
    tokenizer = tiny_tokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == back


@given(st.lists(TEXTS, max_size=3))
def test_what_is_remembered_is_what_is_encoded(texts: list[str]) -> None:
    remembering = tiny_tokenizer().remembering()
    for text in (*texts, *texts):
        ids = remembering.encode(text)
        assert ids == tiny_tokenizer().encode(text)
        ids.append(0)  # what a caller does to its list changes nothing
    assert remembering.to_json() == tiny_tokenizer().to_json()


def test_the_empty_text_has_no_ids() -> None:
    assert tiny_tokenizer().encode("") == []
    assert tiny_tokenizer().decode([]) == ""


def test_the_delimiter_is_one_token() -> None:
    assert len(tiny_tokenizer().encode("\n")) == 1


def test_a_word_is_the_same_inside_a_text_and_at_its_start() -> None:
    tokenizer = tiny_tokenizer()
    assert tokenizer.encode("boat") == tokenizer.encode("a boat")[-len(tokenizer.encode("boat")) :]
    assert tokenizer.encode("boat") == tokenizer.encode(" boat")


def test_specials_have_the_first_ids_in_the_order_of_their_names() -> None:
    tokenizer = tiny_tokenizer()
    assert tokenizer.special_ids() == tuple(range(len(SPECIALS)))
    assert [tokenizer.special_id(name) for name in (PAD, START, END, UNKNOWN)] == [0, 1, 2, 3]
    assert (tokenizer.pad_id, tokenizer.start_id, tokenizer.end_id) == (0, 1, 2)
    assert len({tokenizer.special_id(name) for name in (STYLE, PERSONA)}) == 2


def test_decoding_stops_at_the_first_end() -> None:
    tokenizer = tiny_tokenizer()
    ids = [*tokenizer.encode("yes"), tokenizer.end_id, *tokenizer.encode("no"), tokenizer.end_id]
    assert tokenizer.decode(ids) == "yes"


def test_ids_beyond_the_vocabulary_are_no_words() -> None:
    tokenizer = tiny_tokenizer()
    assert tokenizer.decode([tokenizer.vocab_size + 5, *tokenizer.encode("yes")]) == "yes"


@given(st.lists(st.integers(0, 299)))
def test_any_ids_are_some_text(ids: list[int]) -> None:
    assert isinstance(tiny_tokenizer().decode(ids), str)


def test_training_is_the_same_every_time_and_keeps_to_its_size() -> None:
    one = train_tokenizer(SENTENCES, vocab_size=280)
    other = train_tokenizer(iter(SENTENCES), vocab_size=280)
    assert one.vocab_size == other.vocab_size == 280
    assert all(one.encode(text) == other.encode(text) for text in SENTENCES)
    assert len(one.encode(SENTENCES[0])) > len(tiny_tokenizer().encode(SENTENCES[0]))


def test_the_smallest_vocabulary_has_every_byte_and_special() -> None:
    smallest = train_tokenizer(SENTENCES, vocab_size=1)
    assert smallest.vocab_size == 256 + len(SPECIALS)
    assert smallest.decode(smallest.encode("🙂 é")) == "🙂 é"


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    tiny_tokenizer().save(tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert loaded.vocab_size == tiny_tokenizer().vocab_size
    assert loaded.special_ids() == tiny_tokenizer().special_ids()
    for text in (*SENTENCES, *SPECIALS, "f0m0 __end__", "🙂\n"):
        assert loaded.encode(text) == tiny_tokenizer().encode(text)
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: No such file"):
        load_tokenizer(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("content", [b"{}", b"not json", b"", b"[]", b"[" * 100_000])
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: not a tokenizer: "):
        load_tokenizer(path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: expected text in UTF-8: "):
        load_tokenizer(path)


def test_a_vocabulary_without_the_specials_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no token '__null__' in the vocabulary"):
        Tokenizer(tokenizers.Tokenizer(models.BPE()))


def test_a_special_that_does_not_exist_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no token 'f2m2' in the vocabulary"):
        tiny_tokenizer().special_id("f2m2")
