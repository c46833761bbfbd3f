"""Words to token ids and back: byte-level BPE with ids of its own for what steers the model.

Every text can be encoded and no text can encode to a control: the names of controls are not
parsed out of text, so a person who types ``f1m1`` or ``__end__`` gets ordinary tokens. (ParlAI
parses them, which lets a person end the context or set the control.)
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from openmmb.errors import CheckpointError
from openmmb.text.gender import GENDER_TOKENS

PAD, START, END, UNKNOWN = "__null__", "__start__", "__end__", "__unk__"
"""ParlAI's names, at its ids 0 to 3."""
STYLE, PERSONA = "__style__", "__persona__"
"""Stand before the words of a style and before a line of the persona."""
SPECIALS = (PAD, START, END, UNKNOWN, STYLE, PERSONA, *GENDER_TOKENS)


class Tokenizer:
    """A trained vocabulary.

    A space is put before every text, as ParlAI does, so that a word is the same token at the
    start of a turn and inside one.

    Attributes:
        pad_id: Fills the right of short rows.
        start_id: Stands before a reply.
        end_id: Ends contexts and replies.
        vocab_size: V.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        inner.encode_special_tokens = True  # text is only ever text
        self._inner = inner
        self.pad_id = self.special_id(PAD)
        self.start_id = self.special_id(START)
        self.end_id = self.special_id(END)
        self.vocab_size: int = inner.get_vocab_size()

    def special_id(self, name: str) -> int:
        """Return the id of one of ``SPECIALS``.

        Raises:
            CheckpointError: The vocabulary has no such token.
        """
        found = self._inner.token_to_id(name)
        if found is None:
            raise CheckpointError(f"tokenizer: no token {name!r} in the vocabulary")
        return int(found)

    def special_ids(self) -> tuple[int, ...]:
        """Return the ids of all ``SPECIALS``: what a reply is never made of."""
        return tuple(self.special_id(name) for name in SPECIALS)

    def encode(self, text: str) -> list[int]:
        """Turn any text into ids, none of them special; the empty text has none.

        ``decode`` gives the text back, less one space if it starts with one. Halves of surrogate
        pairs, which are no characters, become question marks.
        """
        if not text:
            return []
        whole = text.encode("utf-8", errors="replace").decode("utf-8")
        ids: list[int] = self._inner.encode(whole, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Turn ids into text, up to the first end token; special tokens are left out."""
        kept = list(ids)
        if self.end_id in kept:
            kept = kept[: kept.index(self.end_id)]
        text: str = self._inner.decode(kept, skip_special_tokens=True)
        return text.removeprefix(" ")

    def save(self, path: Path) -> None:
        """Write the vocabulary as Hugging Face ``tokenizers`` JSON."""
        path.write_text(self._inner.to_str(pretty=False), encoding="utf-8")


def load_tokenizer(path: Path) -> Tokenizer:
    """Read what ``Tokenizer.save`` wrote.

    Raises:
        CheckpointError: The file is missing or is not a tokenizer.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: not a tokenizer: {error.reason}") from error
    try:
        inner = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare Exception and nothing else
        raise CheckpointError(f"{path}: not a tokenizer: {error}") from error
    return Tokenizer(inner)


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
    """Learn a vocabulary of at most ``vocab_size`` tokens, specials included.

    A newline is put after every text, so that the delimiter between turns becomes one token.
    """
    inner = tokenizers.Tokenizer(models.BPE(unk_token=None))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(_with_delimiter(texts), trainer)
    return Tokenizer(inner)


def _with_delimiter(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield f"{text} \n"
