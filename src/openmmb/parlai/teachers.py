"""ParlAI's ``--task``: which data sets its teachers are here."""

from dataclasses import dataclass

from openmmb.errors import ConfigError, unknown

WRAPPER = "genderation_bias:controllable_task:"
"""Before a teacher: each example is one text, with the control of its reply's gendered words."""
TEACHERS: dict[str, str] = {
    "blended_skill_talk": "blended_skill_talk",
    "convai2:normalized": "convai2",
    "empathetic_dialogues": "empathetic_dialogues",
    "wizard_of_wikipedia": "wizard_of_wikipedia",
    "image_chat:generation": "image_chat",
    "coco_caption": "coco_captions_2017",
    "coco_caption:v2014": "coco_captions_2014",
    "coco_caption:v2017": "coco_captions_2017",
}
"""Teacher, in lower case -> task."""
WITH_REST = "coco_captions"
"""The task that ``--include-rest-val`` makes of COCO's captions."""
OTHERS = {
    "convai2": "its examples are spelled otherwise; use convai2:normalized",
    "image_chat": "it is for models that choose; use image_chat:Generation",
    "wizard_of_wikipedia:generator": "it puts knowledge into contexts; use wizard_of_wikipedia",
}
"""Teachers that a task has another of: why it is not that one."""
COCO_NOTE = (
    "--task coco_caption: ParlAI takes the split of 2017 for it, where --include-rest-val does "
    "nothing; meant is Karpathy's of 2014 with the rest of the validation set, which "
    f"{WITH_REST} is"
)
WRAPPER_NOTE = (
    f"--task {WRAPPER.removesuffix(':')}: ParlAI keeps every flattened example and its image "
    "vectors in memory, some 291 GB with Image-Chat's, since its cache cannot hold pictures; here "
    "examples are flattened when they are read, and image vectors stay on disk"
)


@dataclass(frozen=True)
class Teachers:
    """What ``--task`` says.

    Attributes:
        tasks: The data sets.
        controlled: Whether examples are flattened and carry the control of gendered words.
        notes: What of it is other than in ParlAI.
    """

    tasks: tuple[str, ...]
    controlled: bool
    notes: tuple[str, ...]


def read_task(text: str, *, rest: bool) -> Teachers:
    """Read ``--task``: teachers with commas between.

    Args:
        text: The value.
        rest: What ``--include-rest-val`` says.

    Raises:
        ConfigError: A teacher is unknown, or some are wrapped and some are not.
    """
    names = [_plain(name) for name in text.split(",")]
    wrapped = [name.startswith(WRAPPER) for name in names]
    if any(wrapped) != all(wrapped):
        bare = names[wrapped.index(False)]
        raise ConfigError(
            f"--task: {bare} is not in {WRAPPER.removesuffix(':')} as others are; a recipe gives "
            "the control to all tasks or to none"
        )
    notes = [WRAPPER_NOTE] if any(wrapped) else []
    tasks = []
    for name in names:
        tasks.append(_task(name.removeprefix(WRAPPER), rest=rest))
        if name.removeprefix(WRAPPER) == "coco_caption" and rest:
            notes.append(COCO_NOTE)
    return Teachers(tasks=tuple(tasks), controlled=any(wrapped), notes=tuple(notes))


def _plain(name: str) -> str:
    return name.strip().lower().replace("controllabletask", "controllable_task")


def _task(teacher: str, *, rest: bool) -> str:
    if teacher in OTHERS:
        raise ConfigError(f"--task: {teacher}: {OTHERS[teacher]}")
    if teacher not in TEACHERS:
        raise ConfigError(f"--task: {unknown('teacher', teacher, (*TEACHERS, *OTHERS))}")
    if rest and teacher in ("coco_caption", "coco_caption:v2014"):
        return WITH_REST
    return TEACHERS[teacher]
