"""Words to ids as BERT-like encoders read them: lower case, without accents, in pieces.

Of a file only the list of pieces is taken: how text is cut is written here, so a file can bring no
rule of its own.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

from openmmb.errors import CheckpointError
from openmmb.files import read_text

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
"""BERT's names: what fills short rows, what no piece spells, the start of a row, the end of each
part of it."""
SPECIALS = (PAD, UNKNOWN, START, END)
CONTINUES = "##"
"""Begins a piece that goes on a word."""
LONGEST_WORD = 100
"""Characters of the longest word that is cut into pieces; a longer one is unknown."""


class WordPieces:
    """A vocabulary of word pieces (Wu et al. 2016) as BERT's uncased models have it.

    Args:
        pieces: Every piece, in the order of the ids.

    Raises:
        CheckpointError: One is there twice, or a special one is missing.

    Attributes:
        pad_id: Fills the right of short rows.
        start_id: Begins a row.
        end_id: Ends a part of it.
        vocab_size: V.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        ids = {piece: at for at, piece in enumerate(pieces)}
        if len(ids) != len(pieces):
            raise CheckpointError("tokenizer: a piece is in the vocabulary twice")
        for name in SPECIALS:
            if name not in ids:
                raise CheckpointError(f"tokenizer: no token {name!r} in the vocabulary")
        self.pieces = tuple(pieces)
        self.pad_id, self.start_id, self.end_id = ids[PAD], ids[START], ids[END]
        self.vocab_size = len(pieces)
        model = models.WordPiece(
            vocab=ids,
            unk_token=UNKNOWN,
            continuing_subword_prefix=CONTINUES,
            max_input_chars_per_word=LONGEST_WORD,
        )
        self._inner = tokenizers.Tokenizer(model)
        self._inner.normalizer = normalizers.BertNormalizer(lowercase=True)
        self._inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()

    def encode(self, text: str) -> list[int]:
        """Turn any text into ids; a special token's name in it is ordinary text."""
        text = text.encode("utf-8", errors="replace").decode("utf-8")
        ids: list[int] = self._inner.encode(text, add_special_tokens=False).ids
        return ids

    def to_json(self) -> str:
        """Return the vocabulary as Hugging Face ``tokenizers`` JSON."""
        text: str = self._inner.to_str(pretty=False)
        return text

    def save(self, path: Path) -> None:
        """Write the vocabulary as Hugging Face ``tokenizers`` JSON."""
        path.write_text(self.to_json(), encoding="utf-8")


def is_word_pieces(path: Path) -> bool:
    """Say whether a ``tokenizer.json`` is one of word pieces.

    Raises:
        CheckpointError: The file is missing or is not text.
    """
    return _model(path).get("type") == "WordPiece"


def load_word_pieces(path: Path) -> WordPieces:
    """Read the pieces of a ``tokenizer.json``.

    Raises:
        CheckpointError: The file is missing or damaged, or is of another kind.
    """
    vocabulary = _model(path).get("vocab")
    problem = f"{path}: expected the vocabulary of word pieces, ids from 0 without a gap"
    if not isinstance(vocabulary, dict):
        raise CheckpointError(problem)
    ids = vocabulary.values()
    if any(type(one) is not int for one in ids) or sorted(ids) != [*range(len(vocabulary))]:
        raise CheckpointError(problem)
    return WordPieces(sorted(vocabulary, key=vocabulary.__getitem__))


def _model(path: Path) -> dict[str, object]:
    """Return the part of the file that says what kind of vocabulary it is, and holds it."""
    try:
        data = json.loads(read_text(path, error=CheckpointError))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a tokenizer: {error}") from error
    model = data.get("model") if isinstance(data, dict) else None
    return model if isinstance(model, dict) else {}
