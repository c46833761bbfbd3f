"""Words that a reply may not have, banned while it is searched for.

A control asks a model for replies without gendered words, and it mostly complies; this is the
second belt. Two rules make it up. One bans the last token of a word where the tokens before spell
the rest of it the way the tokenizer spells it: the search takes another word. The other closes what
that leaves, every other way to put the word together out of tokens: after a listed word, nothing
may come that would end it.

Sizes: B inputs, K beams, L tokens so far, V vocabulary, W tokens that are looked back on.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from openmmb.search.constraints import BANNED, Constraint, no_phrase
from openmmb.text.gender import GenderWords, bundled_gender_words
from openmmb.text.tokenizer import Tokenizer

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_BASE = 0x100000001B3
_BITS = (1 << 64) - 1


def no_gendered_words(
    tokenizer: Tokenizer,
    words: GenderWords | None = None,
    *,
    vocab_size: int,
    device: torch.device | str = "cpu",
) -> list[Constraint]:
    """Return the rules of a search whose replies have no gendered word: all are ``f0m0``.

    Args:
        tokenizer: That of the model.
        words: The lists; the bundled ones when None. Entries that are no words ("hair_salon"),
            which no text is labelled by either, are left out.
        vocab_size: V of the logits.
        device: That of the logits.
    """
    lists = words or bundled_gender_words()
    listed = (word.removesuffix(".") for word in sorted(lists.male | lists.female))
    return no_words(
        tokenizer,
        [word for word in listed if _WORD.fullmatch(word)],
        vocab_size=vocab_size,
        device=device,
    )


def no_words(
    tokenizer: Tokenizer,
    words: Iterable[str],
    *,
    vocab_size: int,
    device: torch.device | str = "cpu",
) -> list[Constraint]:
    """Return the rules of a search whose replies have none of ``words``, however capitalised.

    A word is banned between any two characters that are neither letters nor digits ("he" in "he's"
    and "he/she"), not inside longer words ("the"). Words that the tokenizer spells as a listed word
    with something behind it cannot be said either: where "mandolin" is ``man`` and
    ``dolin``, it goes with "man". A word with an apostrophe inside is found only as the tokenizer
    spells it, and so is every word in a vocabulary of words and pieces.

    Args:
        tokenizer: That of the model.
        words: Letters and digits, with an apostrophe between them at most.
        vocab_size: V of the logits, at least the tokenizer's.
        device: That of the logits.

    Raises:
        ValueError: One of ``words`` is no word.
    """
    listed = sorted({_checked(word) for word in words})
    phrases = {
        tuple(tokenizer.encode(spelling)) for word in listed for spelling in _spellings(word)
    }
    spelled = no_phrase(sorted(phrases), device=device)
    if tokenizer.has_pieces:
        return [spelled]
    whole = [word for word in listed if word.isalnum()]
    ending = _no_ending(_read_vocabulary(tokenizer, vocab_size), whole, device)
    return [spelled, ending]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a token does to the word that is being spelled.

    Attributes:
        tail: Letters and digits at its end, folded.
        goes_on: Whether it is nothing but these, so that they continue the word before.
        ends: Whether a word before it ends, since it begins with something else.
    """

    tail: str
    goes_on: bool
    ends: bool


def _checked(word: str) -> str:
    folded = _fold(word)
    if not _WORD.fullmatch(folded):
        raise ValueError(f"word {word!r} must be letters and digits")
    return folded


def _spellings(word: str) -> Iterator[str]:
    for spelling in (word, word.capitalize(), word.upper()):
        for space in ("", " "):  # one token or two, where no space is put before every text
            yield space + spelling
            yield space + spelling.replace("'", "\u2019")


def _fold(text: str) -> str:
    """Lower case without accents, as ``text.gender`` compares words."""
    if text.isascii():
        return text.lower()
    characters = unicodedata.normalize("NFKD", text.lower())
    return "".join(character for character in characters if not unicodedata.combining(character))


def _read_vocabulary(tokenizer: Tokenizer, vocab_size: int) -> list[_Piece]:
    """Read every token as it stands inside a text; special tokens end a word."""
    (mark,) = tokenizer.encode(".")[-1:]  # stands before, since a leading space is not decoded
    cut = len(tokenizer.decode([mark]))
    ids = range(vocab_size)
    return [_piece(_fold(tokenizer.decode([mark, token])[cut:])) for token in ids]


def _piece(text: str) -> _Piece:
    start = len(text)
    while start and text[start - 1].isalnum():
        start -= 1
    return _Piece(tail=text[start:], goes_on=bool(text) and start == 0, ends=not text[:1].isalnum())


def _no_ending(
    pieces: Sequence[_Piece], words: Sequence[str], device: torch.device | str
) -> Constraint:
    """Ban what would end a listed word, however it was put together.

    Words are compared by their hashes, to which a token can be added: a word's hash is that of what
    comes before, times a power of the base, plus that of the token. Of 64 bits, another word shares
    a listed one's hash with a chance below one in 10^16; it would then be banned too.
    """
    tails = _tensor([_hash(piece.tail) for piece in pieces], device)
    powers = _tensor([pow(_BASE, len(piece.tail), 1 << 64) for piece in pieces], device)
    goes_on = torch.tensor([piece.goes_on for piece in pieces], device=device)
    ends = torch.tensor([piece.ends for piece in pieces], device=device)
    banned = _tensor([_hash(word) for word in words], device)
    # One token more than a listed word has letters: what fills that is a longer word.
    look_back = max(map(len, words), default=0) + 1

    def ban(tokens: Tensor, logits: Tensor) -> None:
        recent = tokens[..., 1:][..., -look_back:]  # (B, K, W), the start token left out
        word = torch.zeros(tokens.shape[:2], dtype=torch.int64, device=tokens.device)
        for token in recent.unbind(-1):
            word = torch.where(goes_on[token], word * powers[token], 0) + tails[token]
        whole = torch.isin(word, banned)  # (B, K)
        logits.masked_fill_(whole[..., None] & ends, BANNED)

    return ban


def _hash(text: str) -> int:
    value = 0
    for character in text:
        value = (value * _BASE + ord(character)) & _BITS
    return value


def _tensor(values: Sequence[int], device: torch.device | str) -> Tensor:
    """As int64, whose arithmetic wraps around as that of ``_hash`` does."""
    wrapped = [value - (1 << 64) if value >> 63 else value for value in values]
    return torch.tensor(wrapped, dtype=torch.int64, device=device)
