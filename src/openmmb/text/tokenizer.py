"""Words to token ids and back, with ids of its own for what steers the model.

Every text can be encoded and no text can encode to a control or another special token: their names
are not parsed out of text, so a person who types ``f1m1`` or ``__end__`` gets ordinary tokens.
(ParlAI parses them, which lets a person end the context or set the control.)

In the vocabularies of ParlAI's models a control is not a token but words, `` f0m0``, which were put
after contexts in training. There the words of a control that stand in a text are spelled in other
tokens than the control's.
"""

import json
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from openmmb.errors import CheckpointError, shorten
from openmmb.files import read_text
from openmmb.text.gender import GENDER_TOKENS
from openmmb.text.spelling import (
    ByteSpelling,
    Spelling,
    WordSpelling,
    has_space_prefix,
    index_runs,
    respell,
)
from openmmb.text.trusted import LARGEST, check_tokenizer

PAD, START, END, UNKNOWN = "__null__", "__start__", "__end__", "__unk__"
"""ParlAI's names, at ids 0 to 3 of its vocabularies and of those that are learnt here."""
STYLE, PERSONA = "__style__", "__persona__"
"""Stand before the words of a style and before a line of the persona."""
PERSON, OBJECTS = "__person__", "__objects__"
"""Stand before what a person says and before what a picture encoder has recognised, in the
vocabularies of decoder-only networks."""
CONTROLS = (STYLE, PERSONA, *GENDER_TOKENS)
"""What steers the model."""
SPECIALS = (PAD, START, END, UNKNOWN, *CONTROLS)
FILLER = re.compile(r"__FP16_PAD_\d+__")
"""What pads ParlAI's vocabularies to a multiple of 8; no text has it."""
NEWLINE = "__newln__"
"""The word that a newline is in a vocabulary of words and pieces."""
UNLISTED = "__unlisted__"
"""From here on stand pieces that the merges make but that the model does not know. A vocabulary
with this token is one of words and pieces."""


class Tokenizer:
    """A vocabulary.

    A word is the same token at the start of a turn and inside one where the vocabulary puts a
    space before every text, as those do that are learnt here.

    Args:
        inner: The vocabulary, with the tokens ``SPECIALS``, or ParlAI's, which has the first four.
        remember: Keep the ids of every text, as ``remembering`` says.

    Raises:
        CheckpointError: It lacks a special token.

    Attributes:
        pad_id: Fills the right of short rows.
        start_id: Stands before a reply.
        end_id: Ends contexts and replies.
        vocab_size: V.
        special_names: What a reply is never made of: every special token, but in ParlAI's
            vocabularies only start and end. Padding and the unknown token, which its models never
            learn to say, keep the share of the probability that they have there.
        has_pieces: Whether it is one of words and pieces; otherwise it can spell every text.
    """

    def __init__(self, inner: tokenizers.Tokenizer, *, remember: bool = False) -> None:
        inner.encode_special_tokens = True  # text is only ever text
        self._inner = inner
        self.pad_id = self.special_id(PAD)
        self.start_id = self.special_id(START)
        self.end_id = self.special_id(END)
        added = {token.content for token in inner.get_added_tokens_decoder().values()}
        reserved = frozenset(map(self.special_id, added - {UNKNOWN}))
        self._spelling, self.has_pieces = self._kind(reserved)
        self.vocab_size = self._spelling.vocab_size
        if inner.token_to_id(STYLE) is not None:
            self.special_names = (*SPECIALS, *sorted(added - {*SPECIALS}, key=self.special_id))
        else:
            self.special_names = (START, END)
        self._controls = self._control_ids()
        self._unsayable = index_runs([*((token,) for token in reserved), *self._controls.values()])
        self._known: dict[str, array[int]] | None = {} if remember else None

    def remembering(self) -> "Tokenizer":
        """Return the same vocabulary, which keeps the ids of every text that it has encoded.

        They take about the memory of the texts. In training, one turn is part of many contexts.
        """
        return Tokenizer(self._inner, remember=True)

    def special_id(self, name: str) -> int:
        """Return the id of one of ``special_names``, or of another token by its name.

        Raises:
            CheckpointError: The vocabulary has no such token.
        """
        token = self._inner.token_to_id(name)
        if token is None:
            raise CheckpointError(f"tokenizer: no token {name!r} in the vocabulary")
        return int(token)

    @property
    def has_turns(self) -> bool:
        """Whether it has tokens that mark who speaks, for the layout ``turns``."""
        return PERSON in self.special_names

    def special_ids(self) -> tuple[int, ...]:
        """Return the ids of ``special_names``."""
        return tuple(map(self.special_id, self.special_names))

    def unsaid_ids(self) -> list[int]:
        """Return the special tokens that no reply is made of: all but the end token."""
        return [token for token in self.special_ids() if token != self.end_id]

    def control_ids(self, name: str) -> list[int]:
        """Return the ids of the control ``name``, one of ``GENDER_TOKENS``.

        Raises:
            CheckpointError: The vocabulary cannot spell it.
        """
        if name not in self._controls:
            raise CheckpointError(f"tokenizer: no tokens that spell {name!r} in the vocabulary")
        return list(self._controls[name])

    def encode(self, text: str) -> list[int]:
        """Turn any text into ids, none of them special; the empty text has none.

        ``decode`` gives the text back, less one space if it starts with one and the vocabulary
        puts one before every text. Halves of surrogate pairs, which are no characters, become
        question marks. In a vocabulary of words and pieces the text comes back in lower case with
        spaces around marks, and what has no token is the unknown token.

        Args:
            text: What somebody says.
        """
        if self._known is None:
            return self._encode(text)
        ids = self._known.get(text)
        if ids is None:
            ids = self._known[text] = array("i", self._encode(text))
        return ids.tolist()

    def decode(self, ids: Sequence[int]) -> str:
        """Turn ids into text, up to the first end token; special tokens are left out.

        Args:
            ids: A reply.
        """
        kept = list(ids)
        if self.end_id in kept:
            kept = kept[: kept.index(self.end_id)]
        text: str = self._inner.decode(kept, skip_special_tokens=True)
        return text.removeprefix(self._spelling.prefix)

    def to_json(self) -> str:
        """Return the vocabulary as Hugging Face ``tokenizers`` JSON."""
        text: str = self._inner.to_str(pretty=False)
        return text

    def save(self, path: Path) -> None:
        """Write the vocabulary as Hugging Face ``tokenizers`` JSON."""
        path.write_text(self.to_json(), encoding="utf-8")

    def _kind(self, reserved: frozenset[int]) -> tuple[Spelling, bool]:
        unlisted: int | None = self._inner.token_to_id(UNLISTED)
        if unlisted is not None:
            return WordSpelling(self._inner, unlisted, self.special_id(UNKNOWN)), True
        prefix = " " if has_space_prefix(self._inner) else ""
        size = self._inner.get_vocab_size()
        return ByteSpelling(self._inner, reserved, size, prefix), False

    def _encode(self, text: str) -> list[int]:
        if not text:
            return []
        ids = self._spelling.encode(text.encode("utf-8", errors="replace").decode("utf-8"))
        return respell(ids, self._unsayable, self._spelling.letters)

    def _control_ids(self) -> dict[str, tuple[int, ...]]:
        """Return the token of each control, or those that spell it if there are the letters."""
        if STYLE in self.special_names:
            return {name: (self.special_id(name),) for name in CONTROLS}
        words = {name: tuple(self._spelling.encode(f" {name}")) for name in GENDER_TOKENS}
        unknown = self.special_id(UNKNOWN)
        return {name: ids for name, ids in words.items() if ids and unknown not in ids}


def load_tokenizer(path: Path) -> Tokenizer:
    """Read what ``Tokenizer.save`` wrote.

    Raises:
        CheckpointError: The file is missing, is not a tokenizer, or has a part that would let a
            text steer the model.
    """
    if path.is_file() and path.stat().st_size > LARGEST:
        raise CheckpointError(f"{path}: not a tokenizer: expected at most {LARGEST} bytes")
    text = read_text(path, error=CheckpointError)
    data = check_tokenizer(text, source=str(path))
    if data.get("truncation") is not None or data.get("padding") is not None:
        text = json.dumps(data | {"truncation": None, "padding": None})
    return Tokenizer(read_tokenizer(text, source=str(path)))


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
    """Learn a vocabulary of at most ``vocab_size`` tokens, specials and all 256 bytes included.

    These come first, whatever ``vocab_size`` is. A newline is put after every text, so that the
    delimiter between turns becomes one token.
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


def read_tokenizer(text: str, *, source: str) -> tokenizers.Tokenizer:
    """Read ``tokenizers`` JSON whose parts were checked; texts are neither cut nor padded.

    Raises:
        CheckpointError: It is not a tokenizer.
    """
    try:
        inner = tokenizers.Tokenizer.from_str(text)
    except BaseException as error:  # Exception, or where the library's own checks fail its panic
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = shorten(" ".join(str(error).split()))
        raise CheckpointError(f"{source}: not a tokenizer: {reason}") from error
    inner.no_truncation()
    inner.no_padding()
    return inner


def _with_delimiter(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield f"{text} \n"
