"""The regular expressions by which vocabularies split texts and rewrite them.

They are the published ones. No other gets into a vocabulary: one that a stranger wrote could take
for ever on an ordinary text. They are in the words of Oniguruma, which ``tokenizers`` uses.
"""

from typing import Final

WORDS_AND_MARKS: Final = r"[\p{L}\p{N}_]+|[^\p{L}\p{N}_\s\x1c-\x1f]"
r"""Python's ``\w+|[^\w\s]``, by which ParlAI splits texts for its dictionaries of words."""
FINAL_SIGMA: Final = r"\p{Cased}\p{Case_Ignorable}*\K\u03a3(?!\p{Case_Ignorable}*\p{Cased})"
"""A capital sigma that ends a word: Python makes another small letter of it than of the others."""
GPT2: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3: Final = _WORDS % "{1,3}"
QWEN2: Final = _WORDS % ""
SPLITS: Final = (WORDS_AND_MARKS, GPT2, LLAMA3, QWEN2)
"""Those that split texts."""
