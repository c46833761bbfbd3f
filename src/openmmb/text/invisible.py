"""What no reader sees, in one rule for all texts that come in.

Unicode calls it "default ignorable": joiners, direction marks, fillers, tags, variation selectors.
It hides messages in messages. Some of it is part of writing, and stays where it is that and nowhere
else: joiners between the letters of scripts that join, and in emoji; variation selectors after what
they vary; the tags of a flag. Controls that are no white space go too, and halves of surrogate
pairs, which are no characters.
"""

import re
import unicodedata
from typing import Final

BLANK: Final = "\u2800"
"""A character of Braille without a dot: white space by another name."""
_JOINERS = "\u200c\u200d"
_FLAG, _TAGS_END = "\U0001f3f4", "\U000e007f"
_KEYCAP = "\u20e3"
# Controls, and Unicode's Default_Ignorable_Code_Point with what is reserved for it; unassigned
# places that are no characters; annotations of old; halves of surrogate pairs.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
    + "".join(
        f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(2**16, 17 * 2**16, 2**16)
    )
    + "]"
)
# Scripts whose letters join, or form clusters that a joiner keeps together or apart: those of the
# Near East, of India and its neighbours, of Mongolia.
_JOINING = re.compile(
    "[\u0600-\u08ff\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\u0900-\u0dff\u0f00-\u109f\u1780-\u18af"
    "\u1900-\u194f\u1a20-\u1aaf\u1b00-\u1c4f\ua800-\ua82f\ua840-\ua8df\ua980-\ua9df\uaa60-\uaa7f"
    "\uaae0-\uaaff\uabc0-\uabff\U00010a00-\U00010fff\U00011000-\U000119ff\U00011a00-\U00011fff"
    "\U0001e900-\U0001e95f]"
)
_IDEOGRAPH = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SKIN = re.compile("[\U0001f3fb-\U0001f3ff]")
_FLAG_OF_A_REGION = re.compile(
    f"{_FLAG}[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{1,6}}{_TAGS_END}"
)


def remove_invisible(text: str) -> str:
    """Remove what no reader sees, save where it is part of what is seen."""
    if text.isascii() and text.isprintable():
        return text
    text = text.replace(BLANK, " ")
    if _INVISIBLE.search(text) is None:
        return text
    flags = {at for match in _FLAG_OF_A_REGION.finditer(text) for at in range(*match.span())}
    kept: list[str] = []
    for at, character in enumerate(text):
        seen = _INVISIBLE.match(character) is None or at in flags
        after = _INVISIBLE.sub("", text[at + 1 : at + 2])  # what goes joins nothing
        if seen or (kept and _belongs(character, kept[-1], after)):
            kept.append(character)
    return "".join(kept)


def _belongs(character: str, before: str, after: str) -> bool:
    """Return whether an invisible character is part of writing, between what is seen.

    Args:
        character: The one.
        before: What was kept before it.
        after: What is seen next to it; nothing at the end.
    """
    if character in _JOINERS:
        if _JOINING.match(before) and (_JOINING.match(after) or unicodedata.combining(before)):
            return True
        return character == "\u200d" and _is_emoji(before, ending=True) and _is_emoji(after)
    if character in "\ufe0e\ufe0f":
        return _is_emoji(before) or (before in "0123456789#*" and after == _KEYCAP)
    if "\ufe00" <= character <= "\ufe02" or "\U000e0100" <= character <= "\U000e01ef":
        return _IDEOGRAPH.match(before) is not None
    mongolian = "\u1800" <= before <= "\u18aa"
    if character == "\u180e":  # a gap before a vowel at the end of a word
        return mongolian and "\u1800" <= after <= "\u18aa"
    return mongolian and character in "\u180b\u180c\u180d\u180f"


def _is_emoji(character: str, *, ending: bool = False) -> bool:
    """Return whether a character is one that emoji are made of, or ends one."""
    if len(character) != 1 or character == BLANK:
        return False
    if ending and (character == "\ufe0f" or _SKIN.match(character)):
        return True
    if character in "\u203c\u2049\u2194":  # marks and arrows that have an emoji's form too
        return True
    return unicodedata.category(character) == "So"
