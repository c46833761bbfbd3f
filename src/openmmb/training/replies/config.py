"""A recipe: everything that decides what a training run does."""

import math
from typing import Literal

from openmmb.checkpoint import Precision
from openmmb.config import config, require
from openmmb.data.controls import ControlsConfig
from openmmb.data.encode import EncodeConfig
from openmmb.model.config import ModelConfig
from openmmb.search.config import SearchConfig
from openmmb.tasks.mixture import TaskConfig
from openmmb.text.gender import GENDER_TOKENS


@config
class DataConfig:
    """Where data lies and how it is batched."""

    root: str = "data"
    """Folder of the data sets, one sub-folder each."""
    features: str | None = None
    """Folder of image vectors by image id, from ``openmmb features``."""
    mirrored_features: str | None = None
    """The same of the mirrored pictures; each picture is then seen either way."""
    encoder: str = "efficientnet_lite0"
    """The picture encoder whose image vectors those are."""
    batch_size: int = 64
    """Examples of a batch."""
    accumulate: int = 1
    """Batches of one update (ParlAI's ``--update-freq``)."""
    workers: int = 0
    """Processes that make batches ahead; 0: a thread. It changes no batch."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "accumulate"):
            require(name, getattr(self, name), "at least 1", holds=getattr(self, name) >= 1)
        require("workers", self.workers, "at least 0", holds=self.workers >= 0)


@config
class OptimConfig:
    """The optimiser."""

    name: Literal["adam", "adamw", "adafactor"] = "adam"
    """``adam`` as ParlAI has it, ``adamw`` with decoupled weight decay, ``adafactor`` with a
    second moment of rows and columns in place of one for each weight."""
    lr: float = 1e-4
    """Highest learning rate."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the moments."""
    eps: float = 1e-8
    """Added to the root of the second moment."""
    amsgrad: bool = False
    """Keep the highest second moment, as ParlAI does."""
    weight_decay: float = 0.0
    """On matrices only."""
    max_grad_norm: float = 0.1
    """Gradients are scaled down to it."""
    label_smoothing: float = 0.0
    """Share of each target spread over the vocabulary."""

    def __post_init__(self) -> None:
        for name in ("lr", "eps", "max_grad_norm"):
            value = getattr(self, name)
            require(name, value, "above 0", holds=0 < value < math.inf)
        decays = all(0 <= beta < 1 for beta in self.betas)
        require("betas", self.betas, "at least 0 and below 1", holds=decays)
        decay, smoothing = self.weight_decay, self.label_smoothing
        require("weight_decay", decay, "at least 0", holds=0 <= decay < math.inf)
        require("label_smoothing", smoothing, "at least 0 and below 1", holds=0 <= smoothing < 1)


@config
class ScheduleConfig:
    """The learning rate over the run, and when the run ends."""

    kind: Literal["constant", "linear", "cosine", "inverse_sqrt", "plateau"] = "cosine"
    """Its course after the warm-up. ``plateau``: constant, and lower by ``decay`` each time that
    ``patience`` validations in a row were no better (ParlAI's ``reduceonplateau``)."""
    warmup_steps: int = 100
    """Updates of linear rise."""
    max_steps: int = 1000
    """Updates of the whole run; ``linear`` and ``cosine`` end there at ``final_lr``."""
    max_seconds: float | None = None
    """Time spent on updates after which the run ends too; None: no limit."""
    final_lr: float = 0.0
    """Share of the highest rate that is left at the end."""
    patience: int = 3
    """Of ``plateau``: validations without a better one that are borne before the rate falls."""
    decay: float = 0.5
    """Of ``plateau``: what the rate is multiplied by when it falls."""

    def __post_init__(self) -> None:
        require("max_steps", self.max_steps, "at least 1", holds=self.max_steps >= 1)
        require("warmup_steps", self.warmup_steps, "at least 0", holds=self.warmup_steps >= 0)
        require("final_lr", self.final_lr, "from 0 to 1", holds=0 <= self.final_lr <= 1)
        require("patience", self.patience, "at least 0", holds=self.patience >= 0)
        require("decay", self.decay, "above 0 and below 1", holds=0 < self.decay < 1)
        _require_time("max_seconds", self.max_seconds)


@config
class ValidConfig:
    """When to look at held-out examples, and when to give up."""

    every_steps: int = 500
    """Updates between two validations; one more at the end."""
    every_seconds: float | None = None
    """Time spent on updates between two validations, in place of ``every_steps``."""
    every_epochs: float | None = None
    """Epochs between two validations, in place of ``every_steps``."""
    max_examples: int = 500
    """Most examples of each task."""
    patience: int = 10
    """Stop after so many validations in a row without a better one."""

    def __post_init__(self) -> None:
        for name in ("every_steps", "max_examples", "patience"):
            require(name, getattr(self, name), "at least 1", holds=getattr(self, name) >= 1)
        for name in ("every_seconds", "every_epochs"):
            _require_time(name, getattr(self, name))
        if self.every_seconds is not None and self.every_epochs is not None:
            raise ValueError("every_seconds and every_epochs exclude each other; leave one out")


def _require_time(name: str, value: float | None) -> None:
    require(name, value, "above 0", holds=value is None or 0 < value < math.inf)


@config
class Recipe:
    """A training run."""

    name: str
    """Of the checkpoint."""
    out: str
    """Folder of the run: log, checkpoints."""
    tasks: tuple[TaskConfig, ...]
    """The mixture."""
    start: str | None = None
    """Checkpoint to start from, a folder or the name of a bundled one. Its network and vocabulary
    are taken with it; of ``model`` only the dropouts count, and nothing may contradict it."""
    fresh_controls: bool = False
    """Draw the control tokens' vectors anew, for a ``start`` that has never seen a control."""
    seed: int = 0
    """Decides initial weights, order, controls, noise."""
    vocab_size: int = 8000
    """Of the vocabulary that is learnt where ``start`` brings none."""
    vocab_tasks: tuple[TaskConfig, ...] = ()
    """More data sets whose words the vocabulary is learnt from."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Of the products in training; weights and optimiser stay in fp32 unless ``memory_efficient``.
    ``fp16``, for graphics cards without bf16, scales the loss."""
    memory_efficient: bool = False
    """Keep the weights in ``precision`` too (ParlAI's ``--fp16-impl mem_efficient``)."""
    activation_checkpointing: bool = False
    """Keep each layer's input only and compute the layer again for the gradient."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it runs; ``auto`` takes a graphics card where there is one."""
    save_precision: Precision = "fp16"
    """Of the weights in the checkpoint."""
    save_every_steps: int = 500
    """Updates between two saves of the run's state."""
    gender: str | None = None
    """Control that the checkpoint's replies get in a chat."""
    image_style: str | None = None
    """Style that its replies about a picture get in a chat."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    encode: EncodeConfig = EncodeConfig()
    controls: ControlsConfig = ControlsConfig()
    optim: OptimConfig = OptimConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    valid: ValidConfig = ValidConfig()
    search: SearchConfig = SearchConfig()

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError("tasks: a recipe needs at least one [[tasks]]")
        names = [task.name for task in self.tasks]
        for task in self.tasks:
            if names.count(task.name) > 1:
                raise ValueError(f"tasks: {task.name!r} is there twice; its numbers would mix")
            if task.split == "valid" and not task.holdout:
                raise ValueError(
                    f"tasks: {task.name!r} learns from split 'valid', so it needs a holdout above "
                    "0 to be validated on"
                )
        require("seed", self.seed, "from 0 to 2**63 - 1", holds=0 <= self.seed < 2**63)
        for name in ("vocab_size", "save_every_steps"):
            require(name, getattr(self, name), "at least 1", holds=getattr(self, name) >= 1)
        if self.gender is not None and self.gender not in GENDER_TOKENS:
            raise ValueError(
                f"gender must be one of {', '.join(GENDER_TOKENS)}, got {self.gender!r}"
            )
