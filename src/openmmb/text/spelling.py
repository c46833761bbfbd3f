"""How the two kinds of vocabularies turn a text into token ids: by its bytes, or by its words.

A byte-level BPE can spell every text. A vocabulary of words and pieces of them, ``subword-nmt``'s,
knows lower-case words and marks; what it cannot spell is its unknown token.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import tokenizers

LAST = "</w>"
"""Ends a token that ends a word, in vocabularies of words and pieces."""
_NAMED = re.compile(r"__(?=(?:null|start|end|unk|newln)__)", re.IGNORECASE)
Runs = Mapping[int, Sequence[tuple[int, ...]]]
_SPACE = "\u0120"
"""How a byte-level vocabulary writes a space."""


class Spelling(Protocol):
    """What a kind of vocabulary does with texts."""

    @property
    def vocab_size(self) -> int:
        """V."""

    @property
    def prefix(self) -> str:
        """What stands before every text that is encoded."""

    def encode(self, text: str) -> list[int]:
        """Turn a text into ids, whatever they are ids of."""

    def letters(self, token: int) -> list[int]:
        """Return ids that spell a token in another way than it does itself, if there is one."""


@dataclass(frozen=True)
class ByteSpelling:
    """A byte-level BPE.

    Attributes:
        inner: The vocabulary.
        reserved: Tokens that no text is spelled with.
        vocab_size: V.
        prefix: A space, where a word is the same token at the start of a text and inside one.
    """

    inner: tokenizers.Tokenizer
    reserved: frozenset[int]
    vocab_size: int
    prefix: str

    def encode(self, text: str) -> list[int]:
        """Turn a text into ids."""
        ids: list[int] = self.inner.encode(text, add_special_tokens=False).ids
        return ids

    def letters(self, token: int) -> list[int]:
        """Return the bytes of a token; one that is a byte itself has no other spelling."""
        name = self.inner.id_to_token(token) or ""
        known = map(self.inner.token_to_id, name if len(name) > 1 else "")
        return [letter for letter in known if letter is not None and letter not in self.reserved]


@dataclass(frozen=True)
class WordSpelling:
    """A vocabulary of words and pieces, as BlenderBot 90M has it.

    Pieces that the merges make but that the model does not know have ids from ``vocab_size`` on.
    A newline is a word there, and so would the names of special tokens be if they were not taken
    apart.

    Attributes:
        inner: The vocabulary.
        vocab_size: V.
        unknown_id: Stands for what has no token.
        prefix: Words are the same everywhere; one space is dropped from what is written all the
            same.
    """

    inner: tokenizers.Tokenizer
    vocab_size: int
    unknown_id: int
    prefix: str = " "

    def encode(self, text: str) -> list[int]:
        """Turn a text into ids of tokens that the model knows."""
        ids = self.inner.encode(_NAMED.sub("__ ", text), add_special_tokens=False).ids
        return [token if token < self.vocab_size else self.unknown_id for token in ids]

    def letters(self, token: int) -> list[int]:
        """Return the letters of a token, a word each."""
        return self.encode(" ".join((self.inner.id_to_token(token) or "").removesuffix(LAST)))


def has_space_prefix(inner: tokenizers.Tokenizer) -> bool:
    """Return whether the vocabulary puts a space before every text."""
    if inner.pre_tokenizer is None:
        return False
    pieces = inner.pre_tokenizer.pre_tokenize_str("a")
    return bool(pieces) and str(pieces[0][0]).startswith(_SPACE)


def index_runs(runs: Iterable[tuple[int, ...]]) -> Runs:
    """Return runs of tokens by their first token."""
    indexed: dict[int, list[tuple[int, ...]]] = {}
    for run in runs:
        indexed.setdefault(run[0], []).append(run)
    return indexed


def respell(ids: list[int], runs: Runs, letters: Callable[[int], list[int]]) -> list[int]:
    """Spell the first token of each of ``runs`` in letters, wherever it stands in ``ids``."""
    while not runs.keys().isdisjoint(ids):
        respelled: list[int] = []
        for at, token in enumerate(ids):
            starts = any(ids[at : at + len(run)] == [*run] for run in runs.get(token, ()))
            respelled += letters(token) if starts else [token]
        if respelled == ids:
            break
        ids = respelled
    return ids
