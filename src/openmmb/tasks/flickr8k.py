"""Flickr8k (Hodosh et al., 2013): five captions for each picture.

Raw: ``<root>/flickr8k/Flickr8k.token.txt`` as published, lines ``picture.jpg#0<TAB>caption``, with
``Flickr_8k.{train,dev,test}Images.txt``, one picture a line; or, as it is passed around converted,
``captions_{train,valid,test}.csv``, columns ``image, caption``. A caption is split into tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openmmb.data.example import Example, Split
from openmmb.errors import DataError, shorten
from openmmb.tasks.read import find_file, read_csv, read_lines
from openmmb.text.normalize import detokenize

_TOKENS = "Flickr8k.token.txt"


@dataclass(frozen=True)
class Flickr8k:
    """Flickr8k under ``root``."""

    root: Path

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: A file is missing.
        """
        folder = self.root / "flickr8k"
        first = find_file(folder, f"captions_{split}.csv", _TOKENS)
        if first.name != _TOKENS:
            return (first,)
        published = "dev" if split == "valid" else split
        return first, find_file(folder, f"Flickr_8k.{published}Images.txt")

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield one example a picture: its first caption, the others as references.

        Raises:
            DataError: A file is missing or malformed.
        """
        captions: dict[str, list[str]] = {}
        for picture, text in _captions(self.files(split)):
            if caption := detokenize(text):
                captions.setdefault(picture.removesuffix(".jpg"), []).append(caption)
        for image_id, (reply, *others) in captions.items():
            yield Example(
                context=(),
                reply=reply,
                task="flickr8k",
                conversation=image_id,
                image_id=image_id,
                references=tuple(others),
            )


def _captions(paths: tuple[Path, ...]) -> Iterator[tuple[str, str]]:
    """Yield file names of pictures, each with a caption."""
    if len(paths) == 1:
        for row in read_csv(paths[0], ("image", "caption")):
            yield row["image"], row["caption"]
        return
    tokens, split = paths
    wanted = {name.strip() for _, name in read_lines(split)}
    for number, line in read_lines(tokens):
        key, tab, caption = line.partition("\t")
        picture, hash_, _ = key.partition("#")
        if not (tab and hash_):
            raise DataError(
                f"{tokens}: line {number}: {shorten(repr(line))}; expected 'x.jpg#0', a tab and "
                "a caption"
            )
        if picture in wanted:
            yield picture, caption
