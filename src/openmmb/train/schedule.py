"""The learning rate as a function of the update's number."""

import math

from openmmb.train.config import ScheduleConfig


def lr_scale(step: int, config: ScheduleConfig) -> float:
    """Return the share of the highest learning rate that update ``step``, from 0, uses."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    length = max(1, config.max_steps - config.warmup_steps)
    done = min(1.0, (step - config.warmup_steps) / length)
    match config.kind:
        case "constant":
            return 1.0
        case "inverse_sqrt":
            return math.sqrt(max(1, config.warmup_steps) / (step + 1))
        case "linear":
            left = 1 - done
        case "cosine":
            left = (1 + math.cos(math.pi * done)) / 2
    return config.final_lr + (1 - config.final_lr) * left
