"""The learning rate as a function of the update's number and of what validations said."""

import math
from dataclasses import replace

from openmmb.config import config
from openmmb.training.run.config import ScheduleConfig

THRESHOLD = 1e-4
"""Share by which a score must be lower than the lowest to count as better, as in PyTorch."""


@config
class Plateau:
    """What is remembered between validations to see that they get no better."""

    factor: float = 1.0
    """What the learning rate is multiplied by."""
    best: float = math.inf
    """The lowest score so far."""
    bad: int = 0
    """Validations since then that were not better, or since the rate last fell."""


def lr_scale(step: int, config: ScheduleConfig) -> float:
    """Return the share of the highest learning rate that update ``step``, from 0, uses."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    length = max(1, config.max_steps - config.warmup_steps)
    done = min(1.0, (step - config.warmup_steps) / length)
    match config.kind:
        case "constant" | "plateau":
            return 1.0
        case "inverse_sqrt":
            return math.sqrt(max(1, config.warmup_steps) / (step + 1))
        case "linear":
            left = 1 - done
        case "cosine":
            left = (1 + math.cos(math.pi * done)) / 2
    return config.final_lr + (1 - config.final_lr) * left


def after_validation(
    plateau: Plateau, score: float, *, step: int, config: ScheduleConfig
) -> Plateau:
    """Return what is remembered after a validation; the rate falls if too many were no better.

    ParlAI's ``reduceonplateau``, PyTorch's ``ReduceLROnPlateau``: nothing is remembered during the
    warm-up (``step`` counts updates done), and a falling rate begins the count anew.
    """
    if config.kind != "plateau" or 0 < step <= config.warmup_steps:
        return plateau
    if score < plateau.best * (1 - THRESHOLD):
        return replace(plateau, best=score, bad=0)
    if plateau.bad < config.patience:
        return replace(plateau, bad=plateau.bad + 1)
    return replace(plateau, factor=plateau.factor * config.decay, bad=0)
