"""ParlAI's dictionaries of the kind ``bpe``, for classifiers: words and pieces of ``subword-nmt``.

``model.dict``          a token and its count, a line each; ``h@@`` does not end a word
``model.dict.codecs``   the merges, best first; ``e</w>`` ends one

Texts are split at spaces and around each mark before. Of the pieces that the merges make, a
dictionary lacks some: to ParlAI they are the unknown token. Here they are tokens of their own, and
``rows`` says which of the dictionary's tokens each of them is.
"""

from dataclasses import dataclass
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, models, pre_tokenizers

from openmmb.convert.bpe import read_names
from openmmb.convert.vocabulary_file import Merges, read_merges
from openmmb.errors import CheckpointError
from openmmb.files import read_text
from openmmb.text.patterns import WORDS_AND_MARKS
from openmmb.text.spelling import LAST
from openmmb.text.tokenizer import CONTROLS, END, PAD, START, UNKNOWN, Tokenizer

PIECE = "@@"
"""Marks what does not end a word in the dictionary; in the merges, ``LAST`` marks what does."""
VERSION = "#version: 0.2"
"""First line of the merges; before this version they ended words in another way."""


@dataclass(frozen=True)
class Subwords:
    """A vocabulary.

    Attributes:
        tokenizer: Words to ids; first those of the dictionary in its order.
        rows: For each of its ids the dictionary's.
    """

    tokenizer: Tokenizer
    rows: tuple[int, ...]


def read_subwords(dictionary: Path, *, null: str, start: str, end: str, unknown: str) -> Subwords:
    """Read ``model.dict`` and ``model.dict.codecs``.

    Args:
        dictionary: ``model.dict``.
        null: What it calls the padding token.
        start: And the start token.
        end: And the end token, which may be the start token.
        unknown: And the unknown token.

    Raises:
        CheckpointError: A file is missing or malformed.
    """
    names = read_names(dictionary)
    for name in (null, start, end, unknown):
        if name not in names:
            raise CheckpointError(f"{dictionary}: no token {name!r}")
    listed = {
        name: at for at, name in enumerate(dict.fromkeys((null, start, end, unknown, *names)))
    }
    merges = read_codecs(Path(f"{dictionary}.codecs"))
    specials = {PAD: null, START: start, END: end, UNKNOWN: unknown}
    vocabulary, rows = _number(listed, merges, specials)
    return Subwords(_build(vocabulary, merges), rows)


def read_codecs(path: Path) -> Merges:
    """Read merges of ``subword-nmt``, each once, best first.

    Raises:
        CheckpointError: The file is missing, is of another version, or a line is no pair.
    """
    merges = read_merges(path)
    first = read_text(path, error=CheckpointError).partition("\n")[0]
    if first.strip() != VERSION:
        raise CheckpointError(f"{path}: line 1 is {first[:40]!r}, expected {VERSION!r}")
    return list(dict.fromkeys(merges))


def made_by(merges: Merges) -> list[str]:
    """Return every piece that words are made of on the way, each once."""
    return list(dict.fromkeys(piece for a, b in merges for piece in (a, b, a + b)))


def as_merged(name: str) -> str:
    """``h@@`` -> ``h``, ``you`` -> ``you</w>``."""
    return name.removesuffix(PIECE) if name.endswith(PIECE) and name != PIECE else name + LAST


def as_listed(piece: str) -> str:
    """``h`` -> ``h@@``, ``you</w>`` -> ``you``."""
    return piece.removesuffix(LAST) if piece.endswith(LAST) else piece + PIECE


def build_model(vocabulary: dict[str, int], merges: Merges) -> models.BPE:
    """Make what splits words into pieces; all that the merges make must have an id."""
    return models.BPE(vocab=vocabulary, merges=merges, unk_token=UNKNOWN, end_of_word_suffix=LAST)


def _number(
    listed: dict[str, int], merges: Merges, specials: dict[str, str]
) -> tuple[dict[str, int], tuple[int, ...]]:
    """Give every token an id, those of the dictionary theirs; also return what each one is."""
    # Where the end token is the start token, it is called that, and the end gets a row of its own.
    called = {name: ours for ours, name in reversed(specials.items())}
    vocabulary = {called.get(name) or as_merged(name): at for name, at in listed.items()}
    rows = list(listed.values())
    for piece in (*specials, *CONTROLS, *made_by(merges)):
        if piece not in vocabulary:
            vocabulary[piece] = len(rows)
            name = specials.get(piece) or as_listed(piece)
            rows.append(listed.get(name, listed[specials[UNKNOWN]]))
    return vocabulary, tuple(rows)


def _build(vocabulary: dict[str, int], merges: Merges) -> Tokenizer:
    inner = tokenizers.Tokenizer(build_model(vocabulary, merges))
    inner.pre_tokenizer = pre_tokenizers.Split(
        Regex(WORDS_AND_MARKS), behavior="removed", invert=True
    )
    names = (PAD, START, END, UNKNOWN, *CONTROLS)
    inner.add_special_tokens([AddedToken(name, normalized=False) for name in names])
    return Tokenizer(inner)
