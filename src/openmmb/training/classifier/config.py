"""A recipe of a classifier: everything that decides what its training run does."""

import math
from dataclasses import field
from pathlib import Path

from openmmb.config import config, read_toml, require
from openmmb.errors import ConfigError
from openmmb.model.classifier import ClassifierShape
from openmmb.safety.reading import ReadConfig
from openmmb.tasks.labelled import LABELS
from openmmb.tasks.mixture import TaskConfig
from openmmb.training.classifier.noise import NoiseConfig
from openmmb.training.run.config import MAY_CHANGE, RunConfig


@config
class LabelledConfig:
    """One labelled data set of the mixture."""

    name: str
    """Name of the data set, as in `openmmb.tasks.labelled.SOURCES`."""
    weight: float = 1.0
    """How many times an epoch goes through the data set."""

    def __post_init__(self) -> None:
        require("weight", self.weight, "above 0", holds=0 < self.weight < math.inf)


@config
class ClassifierRecipe(RunConfig):
    """A training run of a classifier.

    Raises:
        ValueError: A value is out of its range, or two do not fit each other.
    """

    labelled: tuple[LabelledConfig, ...]
    """Labelled data sets: what is unsafe and what is not."""
    conversations: tuple[TaskConfig, ...]
    """Data sets of ordinary talk, all of which counts as safe."""
    unkind: tuple[TaskConfig, ...] = ()
    """Data sets whose replies in a negative style insult whom they answer."""
    neutral_weight: float = 1.0
    """How many times an epoch goes through the plain sentences that come with the package."""
    listed_weight: float = 1.0
    """How many times an epoch goes through the phrases that the guard refuses."""
    calibrate: float = 0.1
    """Share of the training texts that is kept to choose the thresholds on."""
    false_alarms: float = 0.005
    """Share of ordinary talk that the thresholds may refuse."""
    start: str | None = None
    """Published encoder that the classifier starts from (`minilm-l6`), a classifier that is
    trained on (`safety`), or a checkpoint whose encoder it takes; None: random weights."""
    start_command: str | None = field(default=None, metadata=MAY_CHANGE)
    """Command that makes `start`, told to whoever does not have it yet."""
    freeze_embeddings: bool = False
    """Leave the vectors of words as they are."""
    compact: bool = False
    """Store weights in a byte each."""
    vocab_size: int = 5000
    """Size of the vocabulary, which is learnt anew unless a published encoder brings its own."""
    root: str = field(default="data", metadata=MAY_CHANGE)
    """Folder of the data sets, one sub-folder each."""
    batch_size: int = 32
    """Texts in an update."""
    shape: ClassifierShape = ClassifierShape(num_labels=len(LABELS))
    """Shape of the network; its `vocab_size` and `num_labels` follow from the rest."""
    read: ReadConfig = ReadConfig()
    noise: NoiseConfig = NoiseConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.labelled or not self.conversations:
            raise ValueError("a recipe needs at least one [[labelled]] and one [[conversations]]")
        for name in ("calibrate", "false_alarms"):
            value = getattr(self, name)
            require(name, value, "above 0 and below 1", holds=0 < value < 1)
        for name in ("vocab_size", "batch_size"):
            require(name, getattr(self, name), "at least 1", holds=getattr(self, name) >= 1)
        for name in ("neutral_weight", "listed_weight"):
            weight = getattr(self, name)
            require(name, weight, "above 0", holds=0 < weight < math.inf)


def is_classifier_recipe(path: Path) -> bool:
    """Say whether a recipe is one of a classifier; a file that cannot be read is not."""
    try:
        return "labelled" in read_toml(path)
    except ConfigError:  # whoever reads it as a recipe says what is wrong
        return False
