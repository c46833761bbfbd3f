"""A recipe of a classifier: everything that decides what its training run does."""

import math
import tomllib
from pathlib import Path
from typing import Literal

from openmmb.checkpoint import Precision
from openmmb.config import config, require
from openmmb.model.classifier import ClassifierShape
from openmmb.safety.reading import ReadConfig
from openmmb.tasks.labelled import LABELS
from openmmb.tasks.mixture import TaskConfig
from openmmb.training.classifier.noise import NoiseConfig
from openmmb.training.replies.config import OptimConfig, ScheduleConfig, ValidConfig


@config
class LabelledConfig:
    """One labelled data set of the mixture."""

    name: str
    """As in ``openmmb.tasks.labelled.SOURCES``."""
    weight: float = 1.0
    """How many times an epoch goes through it."""

    def __post_init__(self) -> None:
        require("weight", self.weight, "above 0", holds=0 < self.weight < math.inf)


@config
class ClassifierRecipe:
    """A training run of a classifier."""

    name: str
    """Of the classifier."""
    out: str
    """Folder of the run: log, checkpoints."""
    labelled: tuple[LabelledConfig, ...]
    """What is unsafe and what is not."""
    conversations: tuple[TaskConfig, ...]
    """Ordinary talk, all of it safe."""
    neutral_weight: float = 1.0
    """How many times an epoch goes through the plain sentences that come with the package."""
    listed_weight: float = 1.0
    """How many times an epoch goes through the phrases that the guard refuses."""
    calibrate: float = 0.1
    """Share of what could be learnt from that is kept for calibration and for the threshold."""
    false_alarms: float = 0.005
    """Share of ordinary talk that the threshold may refuse."""
    start: str | None = None
    """Checkpoint of a model that talks, whose encoder is the start, or None for random weights."""
    seed: int = 0
    """Decides initial weights, order, noise."""
    vocab_size: int = 5000
    """Of the vocabulary, which is learnt anew."""
    root: str = "data"
    """Folder of the data sets, one sub-folder each."""
    batch_size: int = 32
    """Texts of an update."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Of the products in training; weights and optimiser stay in fp32."""
    memory_efficient: bool = False
    """Keep the weights in ``precision`` too."""
    activation_checkpointing: bool = False
    """Keep each layer's input only and compute the layer again for the gradient."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it runs; ``auto`` takes a graphics card where there is one."""
    save_precision: Precision = "fp16"
    """Of the weights in the checkpoint."""
    save_every_steps: int = 500
    """Updates between two saves of the run's state."""
    shape: ClassifierShape = ClassifierShape(num_labels=len(LABELS))
    """The network's; ``vocab_size`` and ``num_labels`` follow from the rest."""
    read: ReadConfig = ReadConfig()
    noise: NoiseConfig = NoiseConfig()
    optim: OptimConfig = OptimConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    valid: ValidConfig = ValidConfig()

    def __post_init__(self) -> None:
        if not self.labelled or not self.conversations:
            raise ValueError("a recipe needs at least one [[labelled]] and one [[conversations]]")
        for name in ("calibrate", "false_alarms"):
            value = getattr(self, name)
            require(name, value, "above 0 and below 1", holds=0 < value < 1)
        for name in ("vocab_size", "batch_size", "save_every_steps"):
            require(name, getattr(self, name), "at least 1", holds=getattr(self, name) >= 1)
        require("seed", self.seed, "from 0 to 2**63 - 1", holds=0 <= self.seed < 2**63)
        for name in ("neutral_weight", "listed_weight"):
            weight = getattr(self, name)
            require(name, weight, "above 0", holds=0 < weight < math.inf)


def is_classifier_recipe(path: Path) -> bool:
    """Say whether a recipe is one of a classifier; of a file that is none, that it is not."""
    try:
        return "labelled" in tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):  # whoever reads it as a recipe says what is wrong
        return False
