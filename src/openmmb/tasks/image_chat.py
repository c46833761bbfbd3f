"""Image-Chat (Shuster et al., 2020): up to three styled turns about one picture.

Raw: ``<root>/image_chat/{train,valid,test}.json``, or ``image_chat_mini``: a list of
``{"image_hash": str, "dialog": [[style, utterance], ...]}``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openmmb.data.example import Example, Split
from openmmb.tasks.read import find_file, read_rows
from openmmb.text.normalize import tidy


@dataclass(frozen=True)
class Raw:
    """A conversation as published."""

    image_hash: str
    dialog: list[tuple[str, str]]


@dataclass(frozen=True)
class ImageChat:
    """Image-Chat under ``root``."""

    root: Path

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: The file is missing.
        """
        names = (f"image_chat/{split}.json", f"image_chat_mini/{split}.json")
        return (find_file(self.root, *names),)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield one example a turn, with the style in which that turn was asked for.

        ParlAI's ``image_chat:Generation`` has the same replies, contexts and styles; it yields
        the first speaker's turns before the second's.

        Raises:
            DataError: The file is missing or malformed.
        """
        (path,) = self.files(split)
        for number, row in enumerate(read_rows(path, Raw)):
            before: tuple[str, ...] = ()
            for style, utterance in row.dialog:
                if not (reply := tidy(utterance)):
                    continue
                yield Example(
                    context=before,
                    reply=reply,
                    task="image_chat",
                    conversation=f"{split}:{number}",
                    image_id=row.image_hash,
                    style=tidy(style) or None,
                )
                before = (*before, reply)
