"""Data sets by name. To add one: write ``tasks/<name>.py``, then add its line below."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from openmmb.data.example import Task
from openmmb.errors import ConfigError
from openmmb.tasks.blended_skill_talk import BlendedSkillTalk
from openmmb.tasks.chitchat import Chitchat
from openmmb.tasks.convai2 import ConvAI2
from openmmb.tasks.dailydialog import DailyDialog
from openmmb.tasks.empathetic_dialogues import EmpatheticDialogues
from openmmb.tasks.flickr8k import Flickr8k
from openmmb.tasks.image_chat import ImageChat
from openmmb.tasks.topical_chat import TopicalChat


class OneSided(Protocol):
    """Opens a data set of which the published recipe learns one speaker's turns."""

    def __call__(self, root: Path, *, both_sides: bool = False) -> Task:
        """Open it under ``root``; with ``both_sides``, every turn but the first is a reply."""
        ...


ONE_SIDED: dict[str, OneSided] = {
    "blended_skill_talk": BlendedSkillTalk,
    "convai2": ConvAI2,
    "empathetic_dialogues": EmpatheticDialogues,
}
"""Tasks whose replies are one speaker's, unless both sides are asked for."""

WHOLE: dict[str, Callable[[Path], Task]] = {
    "chitchat": Chitchat,
    "dailydialog": DailyDialog,
    "flickr8k": Flickr8k,
    "image_chat": ImageChat,
    "topical_chat": TopicalChat,
}
"""Tasks that have no such side: all that can be a reply is one."""

TASKS: dict[str, Callable[[Path], Task]] = {**ONE_SIDED, **WHOLE}


def open_task(name: str, root: Path, *, both_sides: bool = False) -> Task:
    """Open the data set ``name``; its files are first read when examples are asked for.

    Args:
        name: A key of ``TASKS``.
        root: The folder that holds all data sets.
        both_sides: Learn every turn but the first of each conversation, where the published
            recipe learns one speaker's (``ONE_SIDED``); of no effect on other tasks.

    Raises:
        ConfigError: No such task.
    """
    if name in ONE_SIDED:
        return ONE_SIDED[name](root, both_sides=both_sides)
    if name in WHOLE:
        return WHOLE[name](root)
    near = difflib.get_close_matches(name, TASKS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    raise ConfigError(f"no task {name!r}{hint} there are: {', '.join(sorted(TASKS))}")
