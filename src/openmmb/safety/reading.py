"""How a classifier reads: a text and the turns before it, as token ids.

Sizes: B texts, L tokens.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from openmmb.config import config, require
from openmmb.data.batch import pad
from openmmb.safety.fold import DENSE
from openmmb.text.tokenizer import Tokenizer
from openmmb.text.wordpiece import WordPieces

MAX_WINDOWS: Final = 24
"""Most windows of one text that are judged, so that no message costs more than a second or two
whatever its letters; of a longer text they lie evenly, its beginning and its end among them."""

Vocabulary = Tokenizer | WordPieces
"""What turns words into ids."""

CHARACTERS_PER_TOKEN: Final = 16
"""No more of the turns before is looked at than this for each token that is kept."""

_MENTION = re.compile(r"(?<!\w)@\w+")
_LINK = re.compile(r"https?://\S+|www\.\S+")
_SPACE = re.compile(r"\s+")
_STRETCH = re.compile(r"(.)\1{3,}")
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")


@config
class ReadConfig:
    """How words become ids."""

    layout: Literal["openmmb", "pair", "parlai"] = "openmmb"
    """Order of the tokens: the turns before, end token, text, end token (`openmmb`); start token,
    text, end token, the turns before, end token (`pair`), as BERT reads two texts; or turns and
    text in one (`parlai`), as ParlAI's classifiers read."""
    max_tokens: int = 96
    """Most tokens of a text that are read at once, special tokens included. A longer text is read
    in several windows, by `parlai` its end only."""
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
        ids: The text and its context.
        start: Where the text begins among the ids.
        stop: Where it ends, exclusive.
    """

    ids: list[int]
    start: int
    stop: int


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
    text: str, context: Sequence[str], tokenizer: Vocabulary, config: ReadConfig
) -> list[Window]:
    """Turn a text, said after ``context`` (oldest turn first), into ids.

    Returns:
        One window, or several where the text is too long for one: they overlap by a quarter, or
        lie evenly in a text that is longer than ``MAX_WINDOWS`` of them.
    """
    turns = context[max(0, len(context) - config.context_turns) :] if config.context_turns else ()
    if config.layout == "parlai":
        return [_read_parlai("\n".join((*turns, text)), tokenizer, config)]
    before = _read_turns(turns, tokenizer, config)
    words = tokenizer.encode(clean(text))
    if config.layout == "openmmb":
        cut = _cut(words, config.max_tokens - 1)
        return [_frame([*before, tokenizer.end_id], piece, [tokenizer.end_id]) for piece in cut]
    start, end = tokenizer.start_id, tokenizer.end_id
    after = [*before, end] if before else []
    windows = []
    for piece in _cut(words, config.max_tokens - 2):
        judged = [start, *piece, end]
        windows.append(Window([*judged, *after], 0, len(judged)))
    return windows


def count_words(text: str) -> int:
    """Count the words of a text; where a script puts no spaces, two letters count as one."""
    dense = len(DENSE.findall(text))
    return len(_WORD.findall(DENSE.sub(" ", text))) + (dense + 1) // 2


def _read_turns(turns: Sequence[str], tokenizer: Vocabulary, config: ReadConfig) -> list[int]:
    """Return the last tokens of the turns before a text, as many as are looked at."""
    budget = config.max_context - 1
    end = "\n".join(turns)[-CHARACTERS_PER_TOKEN * config.max_context :]
    return tokenizer.encode(clean(end))[-budget:] if budget else []


def _frame(before: list[int], words: list[int], after: list[int]) -> Window:
    ids = [*before, *words, *after]
    return Window(ids, len(before), len(ids))


def _cut(words: list[int], size: int) -> list[list[int]]:
    """Cut what is too long into pieces of ``size``, at most ``MAX_WINDOWS``."""
    if len(words) <= size:
        return [words]
    last = len(words) - size
    count = min(MAX_WINDOWS, 1 + math.ceil(last / max(1, size * 3 // 4)))
    starts = [last * at // (count - 1) for at in range(count)]
    return [words[start : start + size] for start in starts]


def _read_parlai(text: str, tokenizer: Vocabulary, config: ReadConfig) -> Window:
    """Lower case, start and end around it; a long text is cut to its end twice, as in ParlAI."""
    words = tokenizer.encode(text.lower().replace("\n", " __newln__ "))[-config.max_tokens :]
    whole = [tokenizer.start_id, *words, tokenizer.end_id]
    whole = whole[-config.max_tokens :]
    return Window(whole, 0, len(whole))


def collate(rows: Sequence[Window], *, pad_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pad texts into ids (B, L), the mask of all of them, and the mask of those that are judged."""
    ids, mask = pad([row.ids for row in rows], pad_id)
    at = torch.arange(ids.shape[1])
    start = torch.tensor([row.start for row in rows])[:, None]
    stop = torch.tensor([row.stop for row in rows])[:, None]
    return ids, mask, mask & (at >= start) & (at < stop)
