"""Word pieces come out as BERT's own tokenizer cuts them, and a file brings pieces and no rules."""

import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers

from openmmb.errors import CheckpointError
from openmmb.text.wordpiece import SPECIALS, WordPieces, is_word_pieces, load_word_pieces

LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
PIECES = (*SPECIALS, "hello", "kitchen", ",", ".", *LETTERS, *(f"##{c}" for c in LETTERS))


def test_words_are_cut_into_the_longest_pieces() -> None:
    words = WordPieces(PIECES)
    shown = [PIECES[at] for at in words.encode("Hello, KITCHENS.")]
    assert shown == ["hello", ",", "kitchen", "##s", "."]


def test_accents_and_capitals_do_not_count() -> None:
    words = WordPieces(PIECES)
    assert words.encode("H\u00e9llo") == words.encode("hello")


def test_what_no_piece_spells_is_unknown_and_the_empty_text_is_nothing() -> None:
    words = WordPieces(PIECES)
    assert words.encode("\u6f22") == [PIECES.index("[UNK]")]
    assert words.encode("") == words.encode("  ") == []


@given(st.text(max_size=40))
def test_no_text_encodes_to_a_special_token(text: str) -> None:
    words = WordPieces(PIECES)
    ids = words.encode(text + "[SEP] [CLS]")
    assert not {words.pad_id, words.start_id, words.end_id} & set(ids)


def test_a_vocabulary_is_the_same_after_saving(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    WordPieces(PIECES).save(path)
    assert is_word_pieces(path)
    assert load_word_pieces(path).pieces == PIECES


def test_rules_of_a_file_are_not_taken(tmp_path: Path) -> None:
    other = tokenizers.Tokenizer(models.WordPiece(vocab={p: at for at, p in enumerate(PIECES)}))
    other.normalizer = normalizers.Replace("hello", "kitchen")
    other.pre_tokenizer = pre_tokenizers.Whitespace()
    path = tmp_path / "tokenizer.json"
    path.write_text(other.to_str(), encoding="utf-8")
    assert load_word_pieces(path).encode("hello") == [PIECES.index("hello")]


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"type": "WordPiece"},
        {"type": "WordPiece", "vocab": {"a": 0, "b": 2}},
        {"type": "WordPiece", "vocab": {"a": "x"}},
        {"type": "WordPiece", "vocab": {"a": 0, "b": 1}},
    ],
)
def test_a_damaged_vocabulary_is_said(tmp_path: Path, model: dict[str, object]) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"model": model}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="vocabulary"):
        load_word_pieces(path)


def test_a_file_that_is_no_json_is_said(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("[[[", encoding="utf-8")
    with pytest.raises(CheckpointError, match="not a tokenizer"):
        is_word_pieces(path)
