"""OpenMMB: Multi-Modal BlenderBot, open and runnable.

import openmmb

bot = openmmb.load()
print(bot.reply("What do you see?", image="photo.jpg").text)
"""

import importlib
from typing import TYPE_CHECKING, Any

from openmmb.threads import bound_spinning

if TYPE_CHECKING:
    from openmmb.chat.bot import Bot, load
    from openmmb.chat.conversation import Conversation, Picture, Turn
    from openmmb.chat.request import Reply, Request
    from openmmb.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        ImageError,
        OpenMMBError,
        TrainingError,
    )
    from openmmb.eval.config import EvaluationConfig
    from openmmb.eval.evaluate import evaluate
    from openmmb.safety.guard import Guard, GuardConfig, open_guard
    from openmmb.safety.verdict import Verdict
    from openmmb.search.config import SearchConfig
    from openmmb.training.replies.config import Recipe
    from openmmb.training.run.loop import TrainingResult
    from openmmb.training.train import train
    from openmmb.vision.encoders import open_encoder
    from openmmb.vision.features.vectors import Features
    from openmmb.vision.image_encoder import ImageEncoder

_HOMES = {
    "Bot": "openmmb.chat.bot",
    "CheckpointError": "openmmb.errors",
    "ConfigError": "openmmb.errors",
    "Conversation": "openmmb.chat.conversation",
    "DataError": "openmmb.errors",
    "EvaluationConfig": "openmmb.eval.config",
    "Features": "openmmb.vision.features.vectors",
    "Guard": "openmmb.safety.guard",
    "GuardConfig": "openmmb.safety.guard",
    "ImageEncoder": "openmmb.vision.image_encoder",
    "ImageError": "openmmb.errors",
    "OpenMMBError": "openmmb.errors",
    "Picture": "openmmb.chat.conversation",
    "Recipe": "openmmb.training.replies.config",
    "Reply": "openmmb.chat.request",
    "Request": "openmmb.chat.request",
    "SearchConfig": "openmmb.search.config",
    "TrainingError": "openmmb.errors",
    "TrainingResult": "openmmb.training.run.loop",
    "Turn": "openmmb.chat.conversation",
    "Verdict": "openmmb.safety.verdict",
    "evaluate": "openmmb.eval.evaluate",
    "load": "openmmb.chat.bot",
    "open_encoder": "openmmb.vision.encoders",
    "open_guard": "openmmb.safety.guard",
    "train": "openmmb.training.train",
}

__all__ = [
    "Bot",
    "CheckpointError",
    "ConfigError",
    "Conversation",
    "DataError",
    "EvaluationConfig",
    "Features",
    "Guard",
    "GuardConfig",
    "ImageEncoder",
    "ImageError",
    "OpenMMBError",
    "Picture",
    "Recipe",
    "Reply",
    "Request",
    "SearchConfig",
    "TrainingError",
    "TrainingResult",
    "Turn",
    "Verdict",
    "evaluate",
    "load",
    "open_encoder",
    "open_guard",
    "train",
]


bound_spinning()


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that the package itself is light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'openmmb' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
