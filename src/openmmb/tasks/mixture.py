"""The data sets that a model learns from or is measured on: how each is read, and its examples."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openmmb.config import config, require
from openmmb.data.batcher import Batcher, ImageVectors, ObjectWords
from openmmb.data.controls import NEGATIVE, POSITIVE, Controls, ControlsConfig
from openmmb.data.draw import uniform
from openmmb.data.encode import EncodeConfig
from openmmb.data.example import Example, Split, packed_replies, with_following
from openmmb.errors import ConfigError, DataError
from openmmb.tasks import is_own, open_task
from openmmb.tasks.polarities import has_polarities, read_polarities
from openmmb.text.tokenizer import Tokenizer
from openmmb.vision.features.vectors import Features


@config
class TaskConfig:
    """One data set of the mixture."""

    name: str
    """Name of the data set; `openmmb data list` lists them."""
    weight: float = 1.0
    """How many times an epoch goes through the data set."""
    split: Split = "train"
    """Published split to learn from."""
    holdout: float = 0.0
    """Share of that split's conversations that is kept for validation, for data sets whose valid
    split is not at hand. 0: validate on the published `valid` split."""
    both_sides: bool = False
    """Learn the replies of both speakers, where the original learns one speaker's."""
    write_on: bool = False
    """Continue each reply to the end of its conversation, to learn more from one context."""
    packed: bool = False
    """Learn all replies of a speaker in a conversation in one row: each once, with one reading."""

    def __post_init__(self) -> None:
        require("weight", self.weight, "above 0", holds=0 < self.weight < math.inf)
        require("holdout", self.holdout, "at least 0 and below 1", holds=0 <= self.holdout < 1)
        if self.write_on and self.packed:
            raise ValueError("write_on and packed are both true; use one of them")


@dataclass(frozen=True)
class TaskExamples:
    """The examples of one data set.

    Attributes:
        config: How they were read.
        train: To learn from.
        valid: To measure on; never learnt from.
    """

    config: TaskConfig
    train: Sequence[Example]
    valid: Sequence[Example]


def read_task(config: TaskConfig, root: Path) -> TaskExamples:
    """Read the examples of a data set.

    Raises:
        ConfigError: There is no such data set.
        DataError: Its files are missing or malformed, or have no examples to learn from.
    """
    task = open_task(config.name, root, both_sides=config.both_sides)
    examples = list(task.examples(config.split))
    kept = [example for example in examples if held_out(example, config.holdout)]
    return TaskExamples(
        config=config,
        train=_without_holdout(config, examples),
        valid=kept if config.holdout else list(task.examples("valid")),
    )


def read_train(config: TaskConfig, root: Path) -> list[Example]:
    """Read only what a data set has to learn from.

    Raises:
        ConfigError: There is no such data set.
        DataError: Its files are missing or malformed, or have no examples to learn from.
    """
    task = open_task(config.name, root, both_sides=config.both_sides)
    return _without_holdout(config, task.examples(config.split))


def read_valid(config: TaskConfig, root: Path) -> Iterator[Example]:
    """Read only what a data set keeps for validation.

    Raises:
        ConfigError: There is no such data set.
        DataError: Its files are missing or malformed.
    """
    task = open_task(config.name, root, both_sides=config.both_sides)
    if not config.holdout:
        return task.examples("valid")
    return (e for e in task.examples(config.split) if held_out(e, config.holdout))


def held_out(example: Example, share: float) -> bool:
    """Say whether an example's conversation is kept for validation; the same in every run."""
    return uniform("holdout", example.task, example.conversation) < share


@dataclass(frozen=True)
class FeatureFolders:
    """Where the image vectors of pictures lie, and what they must be.

    Attributes:
        encoder: The picture encoder that made them.
        image_shape: (I, F), image vectors of a picture and features in each.
        plain: Folder that ``openmmb features`` wrote, or None.
        mirrored: The same of the mirrored pictures, or None; a picture is then seen either way.
    """

    encoder: str
    image_shape: tuple[int, int]
    plain: str | None = None
    mirrored: str | None = None

    def open(self, image_ids: Collection[str]) -> tuple[ImageVectors, ...]:
        """Open the folders and see that every picture has its image vectors.

        Raises:
            ConfigError: There is no folder, or what is in it is of another encoder or shape.
            DataError: A folder is not one of image vectors, or lacks a picture.
        """
        if not image_ids:
            return ()
        if self.plain is None:
            raise ConfigError(
                "features: missing, but these data sets have pictures; use the folder that "
                "'openmmb features' wrote"
            )
        views = [self._open("features", self.plain, image_ids, mirrored=False)]
        if self.mirrored is not None:
            views.append(self._open("mirrored_features", self.mirrored, image_ids, mirrored=True))
        return tuple(views)

    def open_words(self) -> ObjectWords:
        """Open what was recognised in the pictures.

        Raises:
            ConfigError: There is no folder, or its encoder had no words when it was made.
            DataError: The folder is not one of image vectors.
        """
        features = None if self.plain is None else Features(self.plain)
        if features is None or not features.manifest.words:
            raise ConfigError(
                f"features: {self.plain or 'missing'} has no words for what pictures show, which "
                "encode.object_words asks for; use a folder that 'openmmb features' wrote with an "
                "encoder that has them"
            )
        return features.words

    def _open(
        self, key: str, folder: str, image_ids: Collection[str], *, mirrored: bool
    ) -> ImageVectors:
        features = Features(folder)
        manifest = features.manifest
        if (manifest.encoder, features.image_shape) != (self.encoder, self.image_shape):
            raise ConfigError(
                f"{key}: {folder} has image vectors {features.image_shape} of {manifest.encoder!r},"
                f" expected {self.image_shape} of {self.encoder!r}"
            )
        if manifest.flip != mirrored:
            what = "mirrored" if manifest.flip else "not mirrored"
            raise ConfigError(
                f"{key}: the pictures of {folder} are {what}; use a folder that 'openmmb features' "
                f"wrote {'with' if mirrored else 'without'} --flip"
            )
        missing = sorted(image_id for image_id in image_ids if image_id not in features)
        if missing:
            raise DataError(
                f"{folder}: no image vectors for {len(missing)} of {len(image_ids)} pictures, "
                f"first {missing[0]}; run 'openmmb features' on them"
            )
        return features.__getitem__


def open_batches(
    examples: Iterable[Example],
    *,
    root: Path,
    tokenizer: Tokenizer,
    encode: EncodeConfig,
    controls: ControlsConfig,
    seed: int,
    features: FeatureFolders | None,
) -> Batcher:
    """Open what turns examples into batches: their controls and the vectors of their pictures.

    Args:
        examples: All that there will be batches of.
        root: Folder of the data sets.
        tokenizer: Words to ids.
        encode: Lengths and layout.
        controls: Which controls examples get.
        seed: With the epoch, decides every draw of a control.
        features: Where image vectors are; None: no picture is looked up.

    Raises:
        ConfigError: There are pictures, and no image vectors that fit; or the vocabulary cannot
            mark turns, and the layout does.
        DataError: Image vectors, polarities of styles or lists of gendered words are missing or
            malformed.
    """
    if encode.layout == "turns" and not tokenizer.has_turns:
        raise ConfigError(
            "encode.layout: 'turns' needs a vocabulary that marks who speaks, and this has no such "
            "tokens; use one that was converted for a decoder-only network"
        )
    listed, own, image_ids = False, False, set[str]()
    for example in examples:
        if example.style not in (None, POSITIVE, NEGATIVE):
            own, listed = own or is_own(example.task), listed or not is_own(example.task)
        if example.image_id is not None:
            image_ids.add(example.image_id)
    return Batcher(
        tokenizer=tokenizer,
        config=encode,
        controls=Controls(
            config=controls,
            polarities=_polarities(root, controls, own=own, listed=listed),
            seed=seed,
        ),
        views=() if features is None else features.open(image_ids),
        image_shape=(0, 0) if features is None else features.image_shape,
        object_words=features.open_words()
        if features is not None and image_ids and encode.object_words
        else None,
    )


def _polarities(
    root: Path, controls: ControlsConfig, *, own: bool, listed: bool
) -> Mapping[str, str]:
    """Return the polarities of styles, if any are to be swapped for them.

    Image-Chat's traits need the file that lists them. The styles of own conversations are anybody's
    words: those that it lists become their polarity too, if it is there.
    """
    if not controls.category_frac or not (listed or (own and has_polarities(root))):
        return {}
    return read_polarities(root)


def _without_holdout(config: TaskConfig, examples: Iterable[Example]) -> list[Example]:
    train = [example for example in examples if not held_out(example, config.holdout)]
    if not train:
        raise DataError(f"task {config.name}: no examples to learn from in split {config.split!r}")
    if config.packed:
        return list(packed_replies(train))
    return list(with_following(train)) if config.write_on else train
