"""The settings that every training run has: optimiser, schedule, validation, the run itself."""

import math
from dataclasses import field
from typing import Literal

from openmmb.checkpoint import Precision
from openmmb.config import config, require

MAY_CHANGE = {"may_change": True}
"""Metadata of a field that may change under a run that has begun: where things lie and run, how
often its state is saved, whether memory is worth more than time. Every other field decides what a
run comes to."""


@config
class OptimConfig:
    """The optimiser."""

    name: Literal["adam", "adamw", "adafactor"] = "adam"
    """Which optimiser: `adam` as ParlAI has it, `adamw` with decoupled weight decay,
    `adafactor` with a second moment for each row and column instead of each weight."""
    lr: float = 1e-4
    """Highest learning rate."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the moments."""
    eps: float = 1e-8
    """Number added to the root of the second moment."""
    amsgrad: bool = False
    """Divide by the highest second moment so far, as ParlAI does."""
    weight_decay: float = 0.0
    """Weight decay of matrices; norms and biases have none."""
    max_grad_norm: float = 0.1
    """Largest norm of the gradient; a larger one is scaled down to it."""
    label_smoothing: float = 0.0
    """Share of each target that is spread over the vocabulary."""

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
    """Course of the learning rate after the warm-up. `plateau` is constant and falls by `decay`
    each time that more than `patience` validations in a row were no better (ParlAI's
    `reduceonplateau`)."""
    warmup_steps: int = 100
    """Updates of linear warm-up."""
    max_steps: int = 1000
    """Updates of the whole run; `linear` and `cosine` end there at `final_lr`."""
    max_seconds: float | None = None
    """Seconds spent on updates after which the run ends too; None: no limit."""
    final_lr: float = 0.0
    """Share of the highest learning rate that is left at the end."""
    patience: int = 3
    """For `plateau`: how many validations in a row may be no better before the rate falls."""
    decay: float = 0.5
    """For `plateau`: factor by which the rate falls."""

    def __post_init__(self) -> None:
        require("max_steps", self.max_steps, "at least 1", holds=self.max_steps >= 1)
        require("warmup_steps", self.warmup_steps, "at least 0", holds=self.warmup_steps >= 0)
        require("final_lr", self.final_lr, "from 0 to 1", holds=0 <= self.final_lr <= 1)
        require("patience", self.patience, "at least 0", holds=self.patience >= 0)
        require("decay", self.decay, "above 0 and below 1", holds=0 < self.decay < 1)
        _require_seconds("max_seconds", self.max_seconds)


@config
class ValidConfig:
    """When to measure on held-out examples, and when to give up.

    Raises:
        ValueError: A value is out of its range, or two do not fit each other.
    """

    every_steps: int = 500
    """Updates between two validations; there is one more at the end."""
    every_seconds: float | None = None
    """Seconds spent on updates between two validations, instead of `every_steps`."""
    every_epochs: float | None = None
    """Epochs between two validations, instead of `every_steps`."""
    max_examples: int = 500
    """Most examples of each task that a validation measures on."""
    patience: int = 10
    """Validations in a row without a better one after which the run ends."""

    def __post_init__(self) -> None:
        for name in ("every_steps", "max_examples", "patience"):
            require(name, getattr(self, name), "at least 1", holds=getattr(self, name) >= 1)
        for name in ("every_seconds", "every_epochs"):
            _require_seconds(name, getattr(self, name))
        if self.every_seconds is not None and self.every_epochs is not None:
            raise ValueError("every_seconds and every_epochs exclude each other; leave one out")


def _require_seconds(name: str, value: float | None) -> None:
    require(name, value, "above 0", holds=value is None or 0 < value < math.inf)


@config
class RunConfig:
    """What every training run is told, whatever it learns.

    A recipe *is* a `RunConfig` with more fields: the one inheritance between configs, since the
    keys of a recipe's file lie flat beside each other.
    """

    name: str
    """Name of the checkpoint."""
    out: str = field(metadata=MAY_CHANGE)
    """Folder of the run: its log, its states, its checkpoint."""
    seed: int = 0
    """Seed of every random draw: first weights, order of examples, noise."""
    device: Literal["auto", "cpu", "cuda"] = field(default="auto", metadata=MAY_CHANGE)
    """Device to train on; `auto` takes a graphics card if there is one."""
    precision: Precision = "fp32"
    """Precision of the products; weights and optimiser stay in fp32 unless `memory_efficient`.
    `fp16`, for graphics cards without bf16, scales the loss."""
    memory_efficient: bool = False
    """Keep the weights in `precision` too (ParlAI's `--fp16-impl mem_efficient`)."""
    trainable: tuple[str, ...] = ("*",)
    """Weights that learn, as patterns of their names such as `decoder.*`; the others are frozen
    and stay as they were at the start."""
    frozen_precision: Precision = "fp32"
    """Precision that weights which do not learn are kept in; below fp32 only where `precision`
    is too."""
    activation_checkpointing: bool = field(default=False, metadata=MAY_CHANGE)
    """Keep only the input of each layer and compute the layer again for its gradient."""
    save_precision: Precision = "fp16"
    """Precision of the weights in the checkpoint."""
    save_every_steps: int = field(default=500, metadata=MAY_CHANGE)
    """Updates between two saves of the run's state."""
    optim: OptimConfig = OptimConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    valid: ValidConfig = ValidConfig()

    def __post_init__(self) -> None:
        require("seed", self.seed, "from 0 to 2**63 - 1", holds=0 <= self.seed < 2**63)
        steps = self.save_every_steps
        require("save_every_steps", steps, "at least 1", holds=steps >= 1)
        require("trainable", self.trainable, "at least one pattern", holds=bool(self.trainable))
        if self.precision == "fp32" and self.frozen_precision != "fp32":
            raise ValueError(
                f"frozen_precision is {self.frozen_precision!r} and precision is 'fp32', which no "
                f"product can mix; set precision to {self.frozen_precision!r} too"
            )
