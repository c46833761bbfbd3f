"""What is due when: the learning rate, validations, the end, from counters alone."""

import math
from dataclasses import field, replace
from typing import Literal

from openmmb.config import MAY_BE_INFINITE, config
from openmmb.training.run.config import ScheduleConfig, ValidConfig

Limit = Literal["all steps done", "all time used"]
EndReason = Limit | Literal["no better for too long", "stopped"]
"""Why a run has ended. Only ``stopped``, at a person's or a scheduler's request, is not for good:
the same call goes on from there."""

THRESHOLD = 1e-4
"""Share by which a score must be lower than the lowest to count as better, as in PyTorch."""


@config
class Plateau:
    """What is remembered between validations, to see that they get no better."""

    factor: float = 1.0
    """Factor of the learning rate."""
    best: float = field(default=math.inf, metadata=MAY_BE_INFINITE)
    """Lowest score so far."""
    bad: int = 0
    """Validations that were no better, since then or since the rate last fell."""


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


def limit_reached(config: ScheduleConfig, *, step: int, seconds: float) -> Limit | None:
    """Return which limit a run has reached after ``step`` updates that took so long."""
    if step >= config.max_steps:
        return "all steps done"
    if config.max_seconds is not None and seconds >= config.max_seconds:
        return "all time used"
    return None


def validation_is_due(
    config: ValidConfig, *, step: int, seconds: tuple[float, float], steps_per_epoch: float
) -> bool:
    """Say whether it is time to validate after update ``step``, counted from 1.

    Args:
        config: How often to.
        step: Number of the update.
        seconds: Spent on updates, before and after it.
        steps_per_epoch: Length of an epoch in updates.
    """
    if config.every_seconds is not None:
        return _passed(*seconds, config.every_seconds)
    if config.every_epochs is not None:
        return _passed(step - 1, step, config.every_epochs * steps_per_epoch)
    return step % config.every_steps == 0


def _passed(before: float, now: float, every: float) -> bool:
    """Say whether a multiple of ``every`` lies above ``before`` and not above ``now``."""
    return now // every > before // every
