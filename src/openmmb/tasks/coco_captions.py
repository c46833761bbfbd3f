"""COCO captions (Chen et al., 2015): at least five captions for each picture.

Raw, of 2014 in Karpathy's splits: ``<root>/coco_captions/dataset_coco.json``, ``{"images":
[{"filename": str, "split": str, "sentences": [{"raw": str}, ...]}, ...]}``. Of 2017:
``<root>/coco_captions/captions_{train,val}2017.json``, ``{"images": [{"id": int, "file_name": str},
...], "annotations": [{"image_id": int, "caption": str}, ...]}``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from openmmb.data.example import Example, Split
from openmmb.errors import DataError
from openmmb.tasks.read import find_file, read_json
from openmmb.text.normalize import tidy


@dataclass(frozen=True)
class Sentence:
    """One caption of 2014."""

    raw: str


@dataclass(frozen=True)
class Picture:
    """One picture of 2014 with its captions."""

    filename: str
    split: str
    sentences: list[Sentence]


@dataclass(frozen=True)
class Karpathy:
    """The file of 2014 as published."""

    images: list[Picture]


@dataclass(frozen=True)
class Image:
    """One picture of 2017."""

    id: int
    file_name: str


@dataclass(frozen=True)
class Caption:
    """One caption of 2017."""

    image_id: int
    caption: str


@dataclass(frozen=True)
class Captions:
    """A file of 2017 as published."""

    images: list[Image]
    annotations: list[Caption]


@dataclass(frozen=True)
class CocoCaptions:
    """COCO captions of 2014 in Karpathy's splits, under ``root``.

    Attributes:
        root: The folder that holds all data sets.
        restval: Train also on the 30,504 pictures of the validation set that are in neither of
            Karpathy's small splits, as Multi-Modal BlenderBot's recipe asks for.
    """

    root: Path
    restval: bool = True

    @property
    def task(self) -> str:
        """The name of the data set."""
        return "coco_captions" if self.restval else "coco_captions_2014"

    def files(self, split: Split) -> tuple[Path, ...]:  # noqa: ARG002 one file has all splits
        """Return what ``examples`` reads.

        Raises:
            DataError: The file is missing.
        """
        return (find_file(self.root / "coco_captions", "dataset_coco.json"),)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield one example a picture: its first caption, the others as references.

        As in ParlAI's ``coco_caption:V2014``, nothing is said before, and what is left over of the
        validation set comes last.

        Raises:
            DataError: The file is missing or malformed, or a picture has no caption.
        """
        (path,) = self.files(split)
        pictures = read_json(path, Karpathy).images
        for published in _published_splits(split, restval=self.restval):
            for picture in pictures:
                if picture.split == published:
                    captions = [tidy(sentence.raw) for sentence in picture.sentences]
                    yield _example(path, picture.filename, captions, self.task)


@dataclass(frozen=True)
class CocoCaptions2017:
    """COCO captions of 2017 under ``root``."""

    root: Path

    def files(self, split: Split) -> tuple[Path, ...]:
        """Return what ``examples`` reads.

        Raises:
            DataError: The file is missing, or ``split`` is "test", whose captions were never
                published.
        """
        if split == "test":
            raise DataError(
                "coco_captions_2017: the captions of the test split were never published; use "
                "'valid'"
            )
        published = "train" if split == "train" else "val"
        return (find_file(self.root / "coco_captions", f"captions_{published}2017.json"),)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield one example a caption, with the picture's other captions as references.

        These are the examples of ParlAI's ``coco_caption``. The references of a picture's examples
        go round in the same order, so that wherever each epoch takes another of them
        (``data.example.one_caption``), it takes each once.

        Raises:
            DataError: The file is missing or malformed, or a caption is of an unknown picture.
        """
        (path,) = self.files(split)
        raw = read_json(path, Captions)
        names = {image.id: image.file_name for image in raw.images}
        captions: dict[int, list[str]] = {}
        for row in raw.annotations:
            captions.setdefault(row.image_id, []).append(tidy(row.caption))
        given = dict.fromkeys(captions, 0)
        for row in raw.annotations:
            if row.image_id not in names:
                raise DataError(f"{path}: a caption of picture {row.image_id}, which is not there")
            at = given[row.image_id]
            given[row.image_id] += 1
            around = captions[row.image_id][at:] + captions[row.image_id][:at]
            if around[0]:
                yield _example(path, names[row.image_id], around, "coco_captions_2017")


def _published_splits(split: Split, *, restval: bool) -> tuple[str, ...]:
    match split:
        case "train":
            return ("train", "restval") if restval else ("train",)
        case "valid":
            return ("val",)
        case "test":
            return ("test",)


def _example(path: Path, file_name: str, captions: list[str], task: str) -> Example:
    """Make an example of a picture whose first caption is the reply."""
    image_id = PurePosixPath(file_name).stem
    kept = [caption for caption in captions if caption]
    if not kept:
        raise DataError(f"{path}: no caption of picture {file_name!r}")
    return Example(
        context=(),
        reply=kept[0],
        task=task,
        conversation=image_id,
        image_id=image_id,
        references=tuple(kept[1:]),
    )
