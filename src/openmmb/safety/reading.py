"""How a classifier reads: a text and the turns before it, as token ids.

Sizes: B texts, L tokens.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from openmmb.config import config, require
from openmmb.data.batch import pad
from openmmb.text.tokenizer import Tokenizer

_MENTION = re.compile(r"(?<!\w)@\w+")
_LINK = re.compile(r"https?://\S+|www\.\S+")
_SPACE = re.compile(r"\s+")
_STRETCH = re.compile(r"(.)\1{3,}")
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")


@config
class ReadConfig:
    """How words become ids."""

    layout: Literal["openmmb", "parlai"] = "openmmb"
    """Order of the tokens: the turns before, end token, text, end token (`openmmb`), or turns and
    text in one (`parlai`), as ParlAI's classifiers read."""
    max_tokens: int = 96
    """Most tokens of a text that are read at once, special tokens included. `openmmb` reads a
    longer text in several windows, `parlai` reads its end only."""
    max_context: int = 32
    """Most tokens of the turns before the text, end token included; the last ones are kept."""
    context_turns: int = 1
    """Number of turns before the text that are read."""

    def __post_init__(self) -> None:
        require("max_tokens", self.max_tokens, "at least 3", holds=self.max_tokens >= 3)
        require("max_context", self.max_context, "at least 1", holds=self.max_context >= 1)
        require("context_turns", self.context_turns, "at least 0", holds=self.context_turns >= 0)


class Window(NamedTuple):
    """As much of a text as a classifier reads at once, as ids.

    Attributes:
        ids: Context first, then the text.
        before: How many of the ids are context.
    """

    ids: list[int]
    before: int


def clean(text: str) -> str:
    """Write a text as the classifier's vocabulary has it: one line, lower case, no names or links.

    Letters lose their accents, and a character that is repeated more than three times stays three
    times.
    """
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in decomposed if unicodedata.category(c) not in ("Mn", "Cf"))
        text = text.translate(_QUOTES)
    text = _MENTION.sub("@user", _LINK.sub("http", text))
    return _STRETCH.sub(r"\1\1\1", _SPACE.sub(" ", text).strip().lower())


def read(
    text: str, context: Sequence[str], tokenizer: Tokenizer, config: ReadConfig
) -> list[Window]:
    """Turn a text, said after ``context`` (oldest turn first), into ids.

    Returns:
        One window, or several that overlap by half where the text is too long for one.
    """
    turns = context[max(0, len(context) - config.context_turns) :] if config.context_turns else ()
    if config.layout == "parlai":
        return [_read_parlai("\n".join((*turns, text)), tokenizer, config)]
    before = tokenizer.encode(clean("\n".join(turns)))
    before = before[max(0, len(before) - config.max_context + 1) :]
    words = tokenizer.encode(clean(text))
    size = config.max_tokens - 1
    starts = range(0, max(1, len(words) - size // 2), max(1, size // 2))
    end = tokenizer.end_id
    return [
        Window([*before, end, *words[start : start + size], end], len(before) + 1)
        for start in (starts if len(words) > size else (0,))
    ]


def _read_parlai(text: str, tokenizer: Tokenizer, config: ReadConfig) -> Window:
    """Lower case, start and end around it; a long text is cut to its end twice, as in ParlAI."""
    words = tokenizer.encode(text.lower().replace("\n", " __newln__ "))[-config.max_tokens :]
    whole = [tokenizer.start_id, *words, tokenizer.end_id]
    return Window(whole[-config.max_tokens :], 0)


def collate(rows: Sequence[Window], *, pad_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pad texts into ids (B, L), the mask of all of them, and the mask of those that are judged."""
    ids, mask = pad([row.ids for row in rows], pad_id)
    before = torch.tensor([row.before for row in rows])
    return ids, mask, mask & (torch.arange(ids.shape[1]) >= before[:, None])
