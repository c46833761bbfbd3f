"""Texts are tokenised once: in training, one turn is part of many contexts."""

from array import array

import tokenizers

from openmmb.text.tokenizer import Tokenizer


class KnownTexts(Tokenizer):
    """A vocabulary that keeps the ids of every text, in about the memory that the texts take.

    Args:
        tokenizer: The vocabulary.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizers.Tokenizer.from_str(tokenizer.to_json()))
        self._texts: dict[str, array[int]] = {}

    def encode(self, text: str) -> list[int]:
        """Turn any text into ids, as ``Tokenizer`` does."""
        ids = self._texts.get(text)
        if ids is None:
            ids = self._texts[text] = array("i", super().encode(text))
        return ids.tolist()
