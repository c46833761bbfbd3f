"""Data sets by name.

To add one, write ``tasks/<name>.py`` and name it in three places: in this file; in
``tasks/catalogue.py``, which says what it is, its licence, and how to get it unless
``tasks/download/sources.py`` can fetch it; and in ``BUILD`` of ``tests/tasks/build.py``, which
writes the smallest file that it reads, for the tests that every data set has to pass.
``docs/data.md`` shows the steps.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from openmmb.data.example import Split, Task
from openmmb.errors import ConfigError, unknown
from openmmb.tasks.blended_skill_talk import BlendedSkillTalk
from openmmb.tasks.chitchat import Chitchat
from openmmb.tasks.coco_captions import CocoCaptions, CocoCaptions2017
from openmmb.tasks.convai2 import ConvAI2
from openmmb.tasks.dailydialog import DailyDialog
from openmmb.tasks.empathetic_dialogues import EmpatheticDialogues
from openmmb.tasks.flickr8k import Flickr8k
from openmmb.tasks.image_chat import ImageChat
from openmmb.tasks.jsonl import JsonLines
from openmmb.tasks.picture_talk import PictureTalk
from openmmb.tasks.topical_chat import TopicalChat
from openmmb.tasks.wizard_of_wikipedia import WizardOfWikipedia
from openmmb.tasks.written import KINDS, Written


class OnDisk(Task, Protocol):
    """A data set that can say which files it reads."""

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return the files that ``examples`` reads.

        Raises:
            DataError: A file is missing, or there is no such split.
        """
        ...


class OneSided(Protocol):
    """Opens a data set of which the published recipe learns one speaker's turns."""

    def __call__(self, root: Path, *, both_sides: bool = False) -> OnDisk:
        """Open it under ``root``; with ``both_sides``, every turn but the first is a reply."""
        ...


ONE_SIDED: dict[str, OneSided] = {
    "blended_skill_talk": BlendedSkillTalk,
    "convai2": ConvAI2,
    "empathetic_dialogues": EmpatheticDialogues,
    "wizard_of_wikipedia": WizardOfWikipedia,
    "wizard_of_wikipedia_unseen": partial(WizardOfWikipedia, unseen=True),
}
"""Tasks whose replies are one speaker's, unless both sides are asked for."""

WHOLE: dict[str, Callable[[Path], OnDisk]] = {
    "chitchat": Chitchat,
    "coco_captions": CocoCaptions,
    "coco_captions_2014": partial(CocoCaptions, restval=False),
    "coco_captions_2017": CocoCaptions2017,
    "dailydialog": DailyDialog,
    "flickr8k": Flickr8k,
    "image_chat": ImageChat,
    "jsonl": JsonLines,
    "picture_talk": PictureTalk,
    "topical_chat": TopicalChat,
    "written": Written,
}
"""Tasks that have no such side: all that can be a reply is one."""

TASKS: dict[str, Callable[[Path], OnDisk]] = {**ONE_SIDED, **WHOLE}

_OWN = re.compile(r"jsonl/[\w-]+")


def is_own(name: str) -> bool:
    """Say whether a data set is somebody's own conversations, whose styles nobody else lists."""
    return name == "jsonl" or _OWN.fullmatch(name) is not None


def open_task(name: str, root: Path, *, both_sides: bool = False) -> OnDisk:
    """Open the data set ``name``; its files are first read when examples are asked for.

    Args:
        name: A key of ``TASKS``, ``jsonl/NAME`` for conversations of your own of that name, or
            ``written/KIND`` for one kind of ``written``.
        root: The folder that holds all data sets.
        both_sides: Learn every turn but the first of each conversation, where the published
            recipe learns one speaker's (``ONE_SIDED``); of no effect on other tasks.

    Raises:
        ConfigError: There is no such data set.
    """
    if name in ONE_SIDED:
        return ONE_SIDED[name](root, both_sides=both_sides)
    if name in WHOLE:
        return WHOLE[name](root)
    if _OWN.fullmatch(name):
        return JsonLines(root, name)
    parent, _, kind = name.partition("/")
    if parent == "written" and kind in KINDS:
        return Written(root, kind)
    raise ConfigError(unknown("data set", name, [*TASKS, "jsonl/NAME", "written/KIND"]))
