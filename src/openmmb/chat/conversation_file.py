"""A conversation as a file, which ``/save`` writes, and ``/load`` and ``--conversation`` read."""

from pathlib import Path

from openmmb.chat.bot import Bot
from openmmb.chat.conversation import Conversation
from openmmb.chat.strict import MAX_JSON
from openmmb.errors import ConfigError
from openmmb.files import open_text, write_whole
from openmmb.outputs import check_file

KIND = "a conversation"
"""What such a file is called."""


def read_conversation(path: Path, bot: Bot) -> Conversation:
    """Read a conversation to go on with, if the guard lets all of it pass.

    Raises:
        ConfigError: It cannot be read, is no conversation, or has what may not be said.
        ImageError: Its picture is of another encoder than the bot's.
    """
    return bot.admit_conversation(_read(path))


def is_taken(path: Path) -> bool:
    """Say whether a conversation is there, that writing this one would replace.

    Raises:
        ConfigError: Something else is there, or it cannot be written to.
    """
    try:
        if not path.parent.exists():  # rather than to make a folder that has a typo
            raise ConfigError(f"{path.parent}: no such folder")
    except (OSError, ValueError):  # said below
        pass
    return check_file(path, KIND, _is_one)


def write_conversation(path: Path, conversation: Conversation) -> None:
    """Write a conversation, replacing one that is there.

    Raises:
        ConfigError: Something else is there, or it cannot be written to.
    """
    is_taken(path)
    try:
        write_whole(path, conversation.to_json() + "\n")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _read(path: Path) -> Conversation:
    try:
        if path.exists() and not path.is_file():  # reading a device may not end
            raise ConfigError(f"{path}: expected a file")
        with open_text(path) as file:
            text = file.read(MAX_JSON + 1)  # as much as shows that it is too long
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # a path with a null byte
        raise ConfigError(f"{path}: {error}") from error
    return Conversation.from_json(text)


def _is_one(path: Path) -> bool:
    try:
        _read(path)
    except ConfigError:
        return False
    return True
