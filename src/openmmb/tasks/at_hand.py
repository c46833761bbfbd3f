"""Which files of a data set are on this disk, and whether they are all that was published."""

from collections.abc import Iterator
from pathlib import Path

from openmmb.data.example import Split
from openmmb.errors import DataError
from openmmb.tasks import TASKS
from openmmb.tasks.catalogue import ABOUT, completeness

SPLITS: tuple[Split, ...] = ("train", "valid", "test")


def splits_at_hand(name: str, root: Path) -> list[Split]:
    """Return the splits of a data set whose files are under ``root``; none of what is no task."""
    if name not in TASKS:
        return []
    task = TASKS[name](root)
    splits: list[Split] = []
    for split in SPLITS:
        try:
            task.files(split)
        except DataError:
            continue
        splits.append(split)
    return splits


def count_at_hand(name: str, root: Path) -> Iterator[str]:
    """Read every split that is there and say in one line each how much of it there is.

    Raises:
        DataError: A file is malformed.
    """
    for split in splits_at_hand(name, root):
        count = sum(1 for _ in TASKS[name](root).examples(split))
        yield f"{name} {split}: {completeness(count, ABOUT[name].published.get(split))}"


def pictures_at_hand(name: str, root: Path) -> set[str]:
    """Return the ids of all pictures that the splits that are there are about.

    Raises:
        DataError: A file is malformed.
    """
    examples = (
        example
        for split in splits_at_hand(name, root)
        for example in TASKS[name](root).examples(split)
    )
    return {example.image_id for example in examples if example.image_id is not None}
