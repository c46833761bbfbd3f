"""Words to token ids and back: byte-level BPE with ids of its own for what steers the model.

Every text can be encoded and no text can encode to a control: the names of controls are not
parsed out of text, so a person who types ``f1m1`` or ``__end__`` gets ordinary tokens. (ParlAI
parses them, which lets a person end the context or set the control.)

In ParlAI's own vocabularies a control is not a token but words, `` f0m0``, which were put after
contexts in training. There the words of a control that stand in a text are spelled in other
tokens than the control's.

One kind of ParlAI's vocabularies, that of BlenderBot 90M, is no byte-level BPE but has lower-case
words and pieces of them, ``subword-nmt``'s. What such a vocabulary cannot spell is its unknown
token, and a newline is a word, ``__newln__``, which nobody can type either.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from openmmb.errors import CheckpointError
from openmmb.text.gender import GENDER_TOKENS

PAD, START, END, UNKNOWN = "__null__", "__start__", "__end__", "__unk__"
"""ParlAI's names, at its ids 0 to 3."""
STYLE, PERSONA = "__style__", "__persona__"
"""Stand before the words of a style and before a line of the persona."""
CONTROLS = (STYLE, PERSONA, *GENDER_TOKENS)
"""What steers the model."""
SPECIALS = (PAD, START, END, UNKNOWN, *CONTROLS)
FILLER = re.compile(r"__FP16_PAD_\d+__")
"""What pads ParlAI's vocabularies to a multiple of 8; no text has it."""
LAST = "</w>"
"""Ends a token that ends a word, in vocabularies of words and pieces."""
NEWLINE = "__newln__"
"""The word that a newline is there."""
UNLISTED = "__unlisted__"
"""From here on stand pieces that the merges make but that the model does not know: they are the
unknown token. A vocabulary with this token is one of words and pieces."""
_NAMED = re.compile(r"__(?=(?:null|start|end|unk|newln)__)", re.IGNORECASE)


class Tokenizer:
    """A trained vocabulary.

    A space is put before every text, as ParlAI does, so that a word is the same token at the
    start of a turn and inside one.

    Attributes:
        pad_id: Fills the right of short rows.
        start_id: Stands before a reply.
        end_id: Ends contexts and replies.
        vocab_size: V.
        has_controls: Whether controls are tokens; in ParlAI's vocabularies they are words.
        has_pieces: Whether it is one of words and pieces; otherwise it is a byte-level BPE.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        inner.encode_special_tokens = True  # text is only ever text
        self._inner = inner
        self.pad_id = self.special_id(PAD)
        self.start_id = self.special_id(START)
        self.end_id = self.special_id(END)
        unlisted: int | None = inner.token_to_id(UNLISTED)
        self.has_controls = inner.token_to_id(STYLE) is not None
        self.has_pieces = unlisted is not None
        self.vocab_size: int = inner.get_vocab_size() if unlisted is None else unlisted
        self._words = {} if self.has_controls else self._control_words()

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
        """Return the ids of all ``SPECIALS``: what a reply is never made of.

        In ParlAI's vocabularies these are start and end: padding and the unknown token, which its
        models never learn to say, keep the share of the probability that they have there.
        """
        names = SPECIALS if self.has_controls else (START, END)
        return tuple(self.special_id(name) for name in names)

    def control_ids(self, name: str) -> list[int]:
        """Return the ids of the control ``name``, one of ``GENDER_TOKENS``.

        Raises:
            CheckpointError: The vocabulary cannot spell it.
        """
        if self.has_controls:
            return [self.special_id(name)]
        if name not in self._words:
            raise CheckpointError(f"tokenizer: no tokens that spell {name!r} in the vocabulary")
        return list(self._words[name])

    def unsaid_ids(self) -> list[int]:
        """Return the special tokens that no reply is made of: all but the end token."""
        return [token for token in self.special_ids() if token != self.end_id]

    def encode(self, text: str, *, controls: bool = False) -> list[int]:
        """Turn any text into ids, none of them special; the empty text has none.

        ``decode`` gives the text back, less one space if it starts with one. Halves of surrogate
        pairs, which are no characters, become question marks. In a vocabulary of words and pieces
        the text comes back in lower case with spaces around marks, and what has no token is the
        unknown token.

        Args:
            text: What somebody says.
            controls: Let the text steer the model, as ParlAI does: ``__end__`` in it is the end
                token and ``f0m0`` the control. Only for comparing with ParlAI.
        """
        if not text:
            return []
        whole = text.encode("utf-8", errors="replace").decode("utf-8")
        if controls:
            return self._parse(whole)
        ids = self._encode(_NAMED.sub("__ ", whole) if self.has_pieces else whole)
        while (spelled := self._spell(ids)) != ids:
            ids = spelled
        return ids

    def decode(self, ids: Sequence[int], *, controls: bool = False) -> str:
        """Turn ids into text, up to the first end token; special tokens are left out.

        Args:
            ids: A reply.
            controls: Write the names of special tokens and strip every space on the left, as
                ParlAI does. Where ParlAI crashes, on ids that begin with no space, this does not.
        """
        kept = list(ids)
        if self.end_id in kept:
            kept = kept[: kept.index(self.end_id)]
        if controls:
            shown = [at for at in map(self._as_parlai, kept) if at not in (None, self.start_id)]
            written: str = self._inner.decode(shown, skip_special_tokens=False)
            return written.lstrip(" ")
        text: str = self._inner.decode(kept, skip_special_tokens=True)
        return text.removeprefix(" ")

    def to_json(self) -> str:
        """Return the vocabulary as Hugging Face ``tokenizers`` JSON."""
        text: str = self._inner.to_str(pretty=False)
        return text

    def save(self, path: Path) -> None:
        """Write the vocabulary as Hugging Face ``tokenizers`` JSON."""
        path.write_text(self.to_json(), encoding="utf-8")

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._inner.encode(text, add_special_tokens=False).ids
        if not self.has_pieces:
            return ids
        unknown = self.special_id(UNKNOWN)
        return [token if token < self.vocab_size else unknown for token in ids]

    def _parse(self, text: str) -> list[int]:
        """Turn a text into the ids that ParlAI gives it."""
        if not self.has_pieces:
            parsed: list[int] = self._parsing.encode(text, add_special_tokens=False).ids
            return parsed
        # Its merges make the names of special tokens whole, as they do with any word.
        names = {self._inner.token_to_id(name + LAST): name for name in (PAD, START, END)}
        made = self._inner.encode(text, add_special_tokens=False).ids
        known = self._encode(text)
        return [
            self.special_id(names[token]) if token in names else listed
            for token, listed in zip(made, known, strict=True)
        ]

    def _control_words(self) -> dict[str, tuple[int, ...]]:
        """Return the ids that spell each control, if the vocabulary has the letters."""
        words = {name: tuple(self._encode(f" {name}")) for name in GENDER_TOKENS}
        unknown = self.special_id(UNKNOWN)
        return {name: ids for name, ids in words.items() if unknown not in ids}

    def _spell(self, ids: list[int]) -> list[int]:
        """Spell the first token of a control in letters, wherever the words of one stand."""
        controls = self._words.values()
        if not controls:
            return ids
        spelled: list[int] = []
        for at, token in enumerate(ids):
            if any(tuple(ids[at : at + len(words)]) == words for words in controls):
                spelled += self._letters(token)
            else:
                spelled.append(token)
        return spelled

    def _letters(self, token: int) -> list[int]:
        """Return ids that spell a token in another way than it does itself.

        They are its bytes; if it is a byte already, a space, there are none. In a vocabulary of
        words and pieces they are its letters, a word each.
        """
        letters = self._inner.id_to_token(token) or ""
        if self.has_pieces:
            return self._encode(" ".join(letters.removesuffix(LAST)))
        known = map(self._inner.token_to_id, letters if len(letters) > 1 else "")
        return [letter for letter in known if letter is not None]

    @cached_property
    def _parsing(self) -> tokenizers.Tokenizer:
        """The same vocabulary, but ``__end__`` and the like in a text are what they name."""
        data = json.loads(self.to_json())
        data["added_tokens"] = [
            token for token in data["added_tokens"] if not FILLER.fullmatch(token["content"])
        ]
        parsing = tokenizers.Tokenizer.from_str(json.dumps(data))
        parsing.encode_special_tokens = False
        return parsing

    def _as_parlai(self, token: int) -> int | None:
        """Return what ParlAI takes an id for when it writes: the first fillers for specials."""
        first = self._inner.token_to_id("__FP16_PAD_0__")
        if first is None or token < first:
            return token
        return token - first if token - first < 4 else None


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


def _with_delimiter(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield f"{text} \n"
