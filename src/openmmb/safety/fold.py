"""Words as a reader sees them, whatever disguise they are typed in.

A list of words is easy to slip past: capitals, look-alike letters of other scripts, digits and
symbols for letters, invisible characters, stretched or spaced-out letters, letters masked by
stars. Folding undoes all of these. Where a disguise has more than one reading, a token has more
than one form, and a text more than one row of tokens.
"""

import itertools
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple


class Token(NamedTuple):
    """One word of a text.

    Attributes:
        start: Where it begins in the text as typed.
        end: Where it ends there, exclusive.
        forms: What it may say, letters, digits and ``*`` for masked letters; the plainest first.
    """

    start: int
    end: int
    forms: tuple[str, ...]


MAX_FORMS = 16
"""A token has at most this many forms, so that nonsense cannot cost more than words do."""

MAX_LETTERS = 48
"""A longer word is not read for disguises, for the same reason; no listed word comes near."""

_MARKS = "".join(
    chr(code)
    for code in (*range(0x900, 0x1D00), 0x3099, 0x309A)
    if unicodedata.category(chr(code)) in ("Mn", "Mc") and not 0x1AB0 <= code <= 0x1AFF
)
"""Marks that are letters of their scripts: vowel signs, tones, voicing."""
_LETTER = f"(?:[^\\W_]|[{_MARKS}])"
_BETWEEN = f"(?:(?![{_MARKS}])[\\W_])"
_WORD = re.compile(rf"{_LETTER}+(?:'{_LETTER}+)*|\U0001f595")  # one gesture says as much as a word
_SYMBOL_WORD = re.compile(
    rf"[^\W_](?:[\w{_MARKS}@$!|+*#%^~']|--+)*|[@$!|+](?:[\w{_MARKS}@$!|+*#%^~']|--+)+"
)
_SYMBOL = re.compile(r"[^\W_](?:[@$!|+*#%^~]+|__+|--+)[^\W_]|[@$!|+][^\W_]|[^\W_][@$*]")
_STRETCH = re.compile(r"([^\W\d_])\1{2,}")
_LONE = re.compile(rf"(?<!{_LETTER})(?:[^\W_]{_BETWEEN}{{1,3}}){{2,}}[^\W_](?!{_LETTER})")
_MASK = re.compile(r"[*#%^~]+|-{2,}|_{2,}")
_CLITIC = re.compile(r"(.+)'(s|re|ll|d|m|ve|t)")

_LEET = {
    "0": "o",
    "1": "il",
    "3": "e",
    "4": "a",
    "5": "s",
    "6": "g",
    "7": "t",
    "8": "b",
    "9": "g",
    "@": "a*",
    "$": "s",
    "!": "il",
    "|": "il",
    "+": "t",
}

_INVISIBLE = "\u115f\u1160\u2800\u3164\uffa0"
_LOOKALIKES = dict(
    zip(
        # Cyrillic, Greek, Latin of other alphabets, small capitals, money.
        "авԁеһіјкӏмнопрԛѕтухѵԝзьαβεηικμνορτυχωϲϳςσγıłøđɡɑʙħŧᴀᴃᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ€£¥¢",
        "abdehijklmhonpqstyxvwsbabenikuvoptuxwcjcoyilodgabhtabcdefghijklmnoprstuvwyzelyc",
        strict=True,
    )
) | {"р": "p", "с": "c", "æ": "ae", "œ": "oe", "\u2019": "'", "\u2018": "'", "\u02bc": "'"}
_BOXED = ((0x1F150, 0x1F169), (0x1F170, 0x1F189), (0x1F1E6, 0x1F1FF))


DENSE = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
    "\U00020000-\U0003ffff]"
)
"""A letter of a script that puts no spaces between words."""


def fold(text: str) -> list[list[Token]]:
    """Read ``text`` in every way that matters; the first row holds its plain words.

    Further rows are there only when the text has symbols inside words or spaced-out letters.
    """
    folded, origins = _fold_characters(text)
    rows = [_tokens(_WORD, folded)]
    if _SYMBOL.search(folded):
        rows.append(_tokens(_SYMBOL_WORD, folded))
    if _LONE.search(folded):
        rows.append(_join_lone_letters(rows[0]))
    if origins is None:
        return rows
    return [[Token(origins[t.start], origins[t.end - 1] + 1, t.forms) for t in row] for row in rows]


def _fold_characters(text: str) -> tuple[str, list[int] | None]:
    """Plain lower case letters, and the index that each came from (None: its own)."""
    if text.isascii():
        return text.lower(), None
    parts: list[str] = []
    origins: list[int] = []
    for index, character in enumerate(text):
        plain = _fold_character(character)
        parts.append(plain)
        origins += [index] * len(plain)
    return "".join(parts), origins


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    if character in _INVISIBLE:
        return ""
    for first, last in _BOXED:
        if first <= ord(character) <= last:
            return chr(ord("a") + ord(character) - first)
    kept = [
        _LOOKALIKES.get(letter, letter)
        for letter in unicodedata.normalize("NFKD", character).casefold()
        if letter in _MARKS or unicodedata.category(letter) not in ("Mn", "Me", "Cf")
    ]
    return "".join(kept)


def _tokens(pattern: re.Pattern[str], folded: str) -> list[Token]:
    tokens = []
    stretched = _STRETCH.search(folded) is not None
    for match in pattern.finditer(folded):
        word = match[0]
        forms = (word,) if word.isalpha() and not stretched else _forms(word)
        tokens.append(Token(match.start(), match.end(), forms))
    return tokens


@lru_cache(maxsize=4096)
def _forms(word: str) -> tuple[str, ...]:
    """What a word of more than plain letters may say; itself first."""
    clitic = _CLITIC.fullmatch(word)
    if clitic:
        # "who're" without its apostrophe would be another word altogether.
        drop = clitic[2] == "s" or clitic[1] == "who"
        word = clitic[1] if drop else clitic[1] + clitic[2]
    # A mark at the end is more often punctuation than a letter; only a star hides letters there.
    word = _drop_emphasis(word.replace("'", "").rstrip("!|+#%^~-_"))
    forms = [word, *_spell(_MASK.sub(lambda mask: "*" * len(mask[0]), word))]
    forms += [short for form in forms for short in _shrink(form)]
    return tuple(dict.fromkeys(forms))[:MAX_FORMS]


def _drop_emphasis(word: str) -> str:
    """``*word*`` is stressed and ``word*`` has a footnote; neither is masked."""
    body = word.strip("*")
    return body if word.startswith("*") or word == body + "*" else word


def _spell(word: str) -> list[str]:
    """Read digits and symbols as the letters that they look like."""
    if len(word) > MAX_LETTERS:
        return []
    letters = sum(c.isalpha() for c in word)
    digits = sum(c.isdigit() for c in word)
    if letters in (0, len(word)) or 2 * digits > len(word):  # a number has its unit: "600k"
        return []
    choices = [_LEET.get(c, c) for c in word]
    if word[0] == "@":  # a mention of someone, or an a
        choices[0] = "a"
    spellings = itertools.islice(itertools.product(*choices), MAX_FORMS)
    return ["".join(spelling) for spelling in spellings]


def _shrink(word: str) -> list[str]:
    """Read letters that were stretched to three or more as one or as two."""
    if not _STRETCH.search(word):
        return []
    stretches = len(_STRETCH.findall(word))
    if stretches > 3:
        return [_STRETCH.sub(r"\1", word)]
    pieces = _STRETCH.split(word)  # even indices: what lies between the stretches
    read = []
    for counts in itertools.product((1, 2), repeat=stretches):
        letters = (letter * count for letter, count in zip(pieces[1::2], counts, strict=True))
        joined = zip(pieces[::2], [*letters, ""], strict=True)
        read.append("".join(itertools.chain.from_iterable(joined)))
    return read


def _join_lone_letters(row: list[Token]) -> list[Token]:
    """Read three or more single letters in a row as one word, with or without a leading word."""
    joined = []
    for lone, group in itertools.groupby(row, key=lambda token: len(token.forms[0]) == 1):
        tokens = list(group)
        if not lone or len(tokens) < 3:
            joined += tokens
            continue
        word = "".join(token.forms[0] for token in tokens)
        forms = [word, word[1:]] if word[0] in "aiu" else [word]
        forms += [spelling for form in forms for spelling in _spell(form)]
        joined.append(Token(tokens[0].start, tokens[-1].end, tuple(dict.fromkeys(forms))))
    return joined
