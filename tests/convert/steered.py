"""A vocabulary whose texts may steer the model, as ParlAI's do: for comparing with it."""

import json
from collections.abc import Sequence

import tokenizers

from openmmb.text.spelling import LAST
from openmmb.text.tokenizer import END, FILLER, PAD, START, UNKNOWN, Tokenizer


class Steered(Tokenizer):
    """ParlAI's way to read and write: ``__end__`` in a text is the end token, ``f0m0`` a control.

    Args:
        tokenizer: The vocabulary.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizers.Tokenizer.from_str(tokenizer.to_json()))
        self.whole = tokenizers.Tokenizer.from_str(tokenizer.to_json())
        data = json.loads(tokenizer.to_json())
        data["added_tokens"] = [
            token for token in data["added_tokens"] if not FILLER.fullmatch(token["content"])
        ]
        self.parsing = tokenizers.Tokenizer.from_str(json.dumps(data))
        self.whole.encode_special_tokens = True
        self.parsing.encode_special_tokens = False

    def encode(self, text: str) -> list[int]:
        if not text:
            return []
        whole = text.encode("utf-8", errors="replace").decode("utf-8")
        if not self.has_pieces:
            parsed: list[int] = self.parsing.encode(whole, add_special_tokens=False).ids
            return parsed
        # The merges make the names of special tokens whole, as they do with any word.
        names = {self.whole.token_to_id(name + LAST): name for name in (PAD, START, END)}
        unknown = self.special_id(UNKNOWN)
        made = self.whole.encode(whole, add_special_tokens=False).ids
        return [
            self.special_id(names[token])
            if token in names
            else token
            if token < self.vocab_size
            else unknown
            for token in made
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """Write the names of special tokens and strip every space on the left.

        Where ParlAI crashes, on ids that begin with no space, this does not.
        """
        kept = list(ids)
        if self.end_id in kept:
            kept = kept[: kept.index(self.end_id)]
        shown = [at for at in map(self.as_parlai, kept) if at not in (None, self.start_id)]
        written: str = self.whole.decode(shown, skip_special_tokens=False)
        return written.lstrip(" ")

    def as_parlai(self, token: int) -> int | None:
        """Return what ParlAI takes an id for when it writes: the first fillers for specials."""
        first = self.whole.token_to_id("__FP16_PAD_0__")
        if first is None or token < first:
            return token
        return token - first if token - first < 4 else None
