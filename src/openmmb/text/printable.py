"""What may be shown on a terminal, whoever wrote it."""


def printable(text: str) -> str:
    """Replace what would not be seen as it is: control characters, terminal commands, surrogates.

    Line breaks stay, other white space becomes spaces, everything else that is no visible
    character becomes U+FFFD. File names and text files can contain any of it.
    """
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"
