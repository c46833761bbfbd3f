"""ParlAI's dictionaries of the kind ``bpe``: words and pieces of ``subword-nmt``.

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

from openmmb.convert.files import read_text
from openmmb.convert.vocabulary import Merges, read_merges
from openmmb.errors import CheckpointError
from openmmb.text.tokenizer import CONTROLS, END, PAD, START, UNKNOWN, Tokenizer

LAST, PIECE = "</w>", "@@"
"""Marks of what ends a word in the merges, and of what does not in the dictionary."""
SPLIT = r"[\p{L}\p{N}_]+|[^\p{L}\p{N}_\s\x1c-\x1f]"
r"""Python's ``\w+|[^\w\s]`` in the words of the library's regular expressions."""


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
    names = [line.rpartition("\t")[0] for line in read_text(dictionary).split("\n") if line]
    for name in (null, start, end, unknown):
        if name not in names:
            raise CheckpointError(f"{dictionary}: no token {name!r}")
    found = {
        name: place for place, name in enumerate(dict.fromkeys((null, start, end, unknown, *names)))
    }
    merges = read_merges(Path(f"{dictionary}.codecs"))
    specials = {PAD: null, START: start, END: end, UNKNOWN: unknown}
    vocabulary, rows = _number(found, merges, specials)
    return Subwords(_build(vocabulary, merges, dictionary), rows)


def _number(
    found: dict[str, int], merges: Merges, specials: dict[str, str]
) -> tuple[dict[str, int], tuple[int, ...]]:
    """Give every token an id, those of the dictionary theirs; also return what each one is."""
    # Where the end token is the start token, it is called that, and the end gets a row of its own.
    called = {name: ours for ours, name in reversed(specials.items())}
    vocabulary = {called.get(name) or _as_merged(name): place for name, place in found.items()}
    rows = list(found.values())
    made = dict.fromkeys(piece for a, b in merges for piece in (a, b, a + b))
    for piece in (*specials, *CONTROLS, *made):
        if piece not in vocabulary:
            vocabulary[piece] = len(rows)
            name = specials.get(piece) or _as_listed(piece)
            rows.append(found.get(name, found[specials[UNKNOWN]]))
    return vocabulary, tuple(rows)


def _as_merged(name: str) -> str:
    """``h@@`` -> ``h``, ``you`` -> ``you</w>``."""
    return name.removesuffix(PIECE) if name.endswith(PIECE) and name != PIECE else name + LAST


def _as_listed(piece: str) -> str:
    """``h`` -> ``h@@``, ``you</w>`` -> ``you``."""
    return piece.removesuffix(LAST) if piece.endswith(LAST) else piece + PIECE


def _build(vocabulary: dict[str, int], merges: Merges, source: Path) -> Tokenizer:
    try:
        model = models.BPE(
            vocab=vocabulary, merges=merges, unk_token=UNKNOWN, end_of_word_suffix=LAST
        )
    except Exception as error:  # the library raises bare Exception and nothing else
        raise CheckpointError(f"{source}: tokens and merges do not fit: {error}") from error
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(SPLIT), behavior="removed", invert=True)
    names = (PAD, START, END, UNKNOWN, *CONTROLS)
    inner.add_special_tokens([AddedToken(name, normalized=False) for name in names])
    return Tokenizer(inner)
