"""Clean text as data sets hold it: human-typed, split into tokens, or all in lower case."""

import re
import unicodedata

from openmmb.text.invisible import remove_invisible

# ParlAI takes these marks apart from the words, and puts them back in the same order.
_MARKS = {".": " .", ",": " ,", "?": " ?", "!": " !", "'": " ' "}

# Each pattern joins what a tokenizer split; the order matters, contractions come before quotes.
_JOINS: tuple[tuple[re.Pattern[str], str], ...] = (
    # ca n't -> can't
    (re.compile(r"(?<=\w) n't\b"), "n't"),
    # o ' clock, O ' Neil -> o'clock, O'Neil
    (re.compile(r"\b([Oo]) ?' ?(?=clock\b|[A-Z])"), r"\1'"),
    # a . m . , U . S . -> a.m., U.S.
    (re.compile(r"\b([A-Za-z]) \. (?=[A-Za-z] \.)"), r"\1."),
    # 3 . 2 % -> 3.2 %
    (re.compile(r"(?<=\d) \. (?=\d+ ?%)"), "."),
    # - - -> --
    (re.compile(r"(?<!\S)- -(?!\S)"), "--"),
    # $ 600 -> $600
    (re.compile(r"([$#]) (?=\d)"), r"\1"),
    # ( yes ) -> (yes)
    (re.compile(r"([(\[]) "), r"\1"),
    (re.compile(r" ([)\]])"), r"\1"),
    # sir , . -> sir,. ; a mark that starts a word (" .com") keeps its space
    (re.compile(r" ([.,?!;:%]+)(?=[\s.,?!;:%\"')\]]|$)"), r"\1"),
)
# dog 's, dog ' s, I ' Ve -> dog's, dog's, I've
_CONTRACTION = re.compile(r"(?<=\w) ?' ?(s|t|m|d|re|ve|ll|am)\b", re.IGNORECASE)
_DOUBLE_QUOTED = re.compile(r'(?<!\S)" ?([^"]*?) ?"(?!\w)')
_SINGLE_QUOTED = re.compile(r"(?<!\S)' ([^']*(?:\w'\w[^']*)*) '(?!\w)")
_PLURAL_POSSESSIVE = re.compile(r"(?<=s) '(?=[ .,?!]|$)")
_BARE_I = re.compile(r"(?<!\S)i(?=$|[ ',?!])")


def tidy(text: str) -> str:
    """Put human-typed text on one line: single spaces, nothing invisible, NFC.

    ``remove_invisible`` says what that is, and what writing needs of it.
    """
    return " ".join(unicodedata.normalize("NFC", remove_invisible(text)).split())


def normalize_reply(text: str) -> str:
    """Give lower-case, token-split text sentence case and ordinary spacing.

    Exactly ParlAI's ``normalize_reply``, version 1, which ``convai2:normalized`` applies. Its
    habits are kept: capitals inside a sentence are lost but for "I", and a plural's apostrophe
    swallows the space after it ("dogs' ears" becomes "dogs'ears").
    """
    text = text.lower()
    for mark, apart in _MARKS.items():
        text = text.replace(mark, apart).replace("  ", " ")
    words = text.split(" ")
    text = " ".join(
        _capitalize(word) if _starts_sentence(words, at) or word == "i" else word
        for at, word in enumerate(words)
    )
    text = f" {text} "
    for mark, apart in _MARKS.items():
        text = text.replace(apart, mark)
    return text.strip().replace("  ", " ")


def detokenize(text: str) -> str:
    """Join tokens into prose: ``hello , sir . i 'm here`` -> ``Hello, sir. I'm here``.

    Punctuation, contractions, quotes, brackets and "$" lose their spaces; the first letter and a
    bare "i" become capitals.
    """
    text = tidy(text)
    text = _CONTRACTION.sub(lambda match: f"'{match[1].lower()}", text)
    for pattern, joined in _JOINS:
        text = pattern.sub(joined, text)
    text = _DOUBLE_QUOTED.sub(r'"\1"', text)
    # An apostrophe alone is a plural's; two are quotes.
    text = _SINGLE_QUOTED.sub(r"'\1'", text)
    text = _PLURAL_POSSESSIVE.sub("'", text)
    return _capitalize(_BARE_I.sub("I", text))


def _starts_sentence(words: list[str], at: int) -> bool:
    """Whether ParlAI takes ``words[at]`` for the first of a sentence.

    The word after the very first is never one, and an empty word (a double space) ends a sentence
    as a full stop does.
    """
    return at == 0 or (at > 1 and words[at - 1] in ("", ".", "?", "!"))


def _capitalize(word: str) -> str:
    return word[:1].upper() + word[1:]
