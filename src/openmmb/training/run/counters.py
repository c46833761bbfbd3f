"""Where a run stands: its counters, and the records of the log that they make."""

import math
from collections.abc import Sequence
from dataclasses import field, replace
from typing import Any

from openmmb.config import MAY_BE_INFINITE, config
from openmmb.data.batch import Shard
from openmmb.model.loss import perplexity
from openmmb.training.run.log import Record
from openmmb.training.run.optim import Update
from openmmb.training.run.precision import LossScale
from openmmb.training.run.schedule import Plateau


@config
class Progress:
    """Where a run stands. Each change gives a new one."""

    step: int = 0
    """Updates done."""
    tokens: int = 0
    """Reply tokens learnt from."""
    seconds: float = 0.0
    """Seconds spent on updates."""
    best: float = field(default=math.inf, metadata=MAY_BE_INFINITE)
    """Lowest validation score so far."""
    best_step: int = 0
    """Update at which it was reached."""
    bad_validations: int = 0
    """Validations since then."""
    skipped: int = 0
    """Updates in a row that were left out, up to the last."""
    recent_loss: float = 0.0
    """Summed loss since the last `step` record."""
    recent_tokens: int = 0
    """Reply tokens since the last `step` record."""
    recent_seconds: float = 0.0
    """Seconds since the last `step` record."""
    recent_filled: int = 0
    """Tokens of contexts and replies since the last `step` record."""
    recent_places: int = 0
    """Positions of these tokens, filled or padded."""
    plateau: Plateau = Plateau()
    """What the learning rate's course depends on."""
    scale: LossScale = LossScale()
    """What the loss is multiplied by in fp16."""

    def after_update(
        self, update: Update, shards: Sequence[Shard[Any]], seconds: float
    ) -> "Progress":
        """Count an update that was made, or left out, on these shards of its batches."""
        counted = replace(
            self,
            step=self.step + 1,
            seconds=self.seconds + seconds,
            recent_seconds=self.recent_seconds + seconds,
            recent_filled=self.recent_filled + sum(shard.tokens for shard in shards),
            recent_places=self.recent_places + sum(shard.positions for shard in shards),
        )
        if update.skipped:
            return counted
        return replace(
            counted,
            tokens=self.tokens + update.tokens,
            skipped=0,
            recent_loss=self.recent_loss + update.loss,
            recent_tokens=self.recent_tokens + update.tokens,
        )

    def after_validation(self, score: float) -> "Progress":
        """Count a validation, which is the best so far if its score is the lowest."""
        if score < self.best:
            return replace(self, best=score, best_step=self.step, bad_validations=0)
        return replace(self, bad_validations=self.bad_validations + 1)

    def after_record(self) -> "Progress":
        """Begin to count anew for the next ``step`` record."""
        return replace(
            self,
            recent_loss=0.0,
            recent_tokens=0,
            recent_seconds=0.0,
            recent_filled=0,
            recent_places=0,
        )

    def standing(self) -> Record:
        """Return what every record begins with."""
        return {"step": self.step, "tokens": self.tokens, "seconds": round(self.seconds, 1)}

    def recent(self) -> Record:
        """Return the means over the updates since the last ``step`` record."""
        loss, tokens = self.recent_loss, self.recent_tokens
        filled, positions = self.recent_filled, self.recent_places
        padding: Record = {"padding": 1 - filled / positions} if positions else {}
        return {
            "loss": loss / max(1, tokens),
            "ppl": perplexity(loss, tokens),
            "tokens_per_s": tokens / max(1e-9, self.recent_seconds),
            **padding,
            **self.standing(),
        }
