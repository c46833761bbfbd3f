"""OpenMMB: Multi-Modal BlenderBot, open and runnable.

import openmmb

bot = openmmb.load()
print(bot.reply("What do you see?", image="photo.jpg").text)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openmmb.chat.bot import Bot, Reply, load
    from openmmb.chat.conversation import Conversation, Turn
    from openmmb.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        ImageError,
        OpenMMBError,
    )
    from openmmb.safety.guard import Guard
    from openmmb.safety.verdict import Verdict
    from openmmb.search.config import SearchConfig
    from openmmb.training.replies.config import Recipe

_HOMES = {
    "Bot": "openmmb.chat.bot",
    "CheckpointError": "openmmb.errors",
    "ConfigError": "openmmb.errors",
    "Conversation": "openmmb.chat.conversation",
    "DataError": "openmmb.errors",
    "Guard": "openmmb.safety.guard",
    "ImageError": "openmmb.errors",
    "OpenMMBError": "openmmb.errors",
    "Recipe": "openmmb.training.replies.config",
    "Reply": "openmmb.chat.bot",
    "SearchConfig": "openmmb.search.config",
    "Turn": "openmmb.chat.conversation",
    "Verdict": "openmmb.safety.verdict",
    "load": "openmmb.chat.bot",
}

__all__ = [
    "Bot",
    "CheckpointError",
    "ConfigError",
    "Conversation",
    "DataError",
    "Guard",
    "ImageError",
    "OpenMMBError",
    "Recipe",
    "Reply",
    "SearchConfig",
    "Turn",
    "Verdict",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that the package itself is light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'openmmb' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
