"""Flickr8k (Hodosh et al., 2013): five captions for each picture.

Raw: ``<root>/flickr8k/captions_{train,valid,test}.csv``, columns ``image, caption``; a caption is
split into tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openmmb.data.example import Example, Split
from openmmb.tasks.read import find_file, read_csv
from openmmb.text.normalize import detokenize


@dataclass(frozen=True)
class Flickr8k:
    """Flickr8k under ``root``."""

    root: Path

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield one example a picture: its first caption, the others as references.

        Raises:
            DataError: The file is missing or malformed.
        """
        path = find_file(self.root / "flickr8k", f"captions_{split}.csv")
        captions: dict[str, list[str]] = {}
        for row in read_csv(path, ("image", "caption")):
            if caption := detokenize(row["caption"]):
                captions.setdefault(row["image"].removesuffix(".jpg"), []).append(caption)
        for image_id, (reply, *others) in captions.items():
            yield Example(
                context=(),
                reply=reply,
                task="flickr8k",
                conversation=image_id,
                image_id=image_id,
                references=tuple(others),
            )
