"""An objective as small as there is one: a line through points, learnt by the common loop."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from openmmb.data.batch import Shard, shard
from openmmb.training.run.config import OptimConfig, RunConfig, ScheduleConfig, ValidConfig
from openmmb.training.run.log import Record
from openmmb.training.run.objective import Scores


def line_config(out: Path) -> RunConfig:
    """Return the config of a run in ``out`` that takes a moment."""
    return RunConfig(
        name="line",
        out=str(out),
        device="cpu",
        save_every_steps=10,
        optim=OptimConfig(lr=0.1, max_grad_norm=100.0),
        schedule=ScheduleConfig(kind="constant", warmup_steps=0, max_steps=20),
        valid=ValidConfig(every_steps=5, patience=100),
    )


@dataclass(frozen=True)
class Points:
    """Rows of a batch.

    Attributes:
        x: (B, 2).
        y: (B, 1).
    """

    x: Tensor
    y: Tensor

    def to(self, device: torch.device) -> Self:
        """Copy every tensor to ``device``."""
        return type(self)(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@dataclass(frozen=True)
class Line:
    """y = 3 x0 - x1 + 1, two batches an update.

    Attributes:
        model: Starts from zero.
        scores: What the next validations say; where there are none, the truth.
        bad_steps: Updates whose loss is no number.
        rows: Points of a batch.
    """

    model: nn.Linear = field(default_factory=lambda: nn.Linear(2, 1))
    scores: list[float] = field(default_factory=list)
    bad_steps: Iterable[int] = ()
    rows: int = 6

    def __post_init__(self) -> None:
        nn.init.zeros_(self.model.weight)
        nn.init.zeros_(self.model.bias)

    def build(self) -> nn.Linear:
        """Return the network."""
        return self.model

    def batches(self, step: int, *, rank: int, world_size: int) -> list[Shard[Points]]:
        """Return a process's rows of two batches."""
        bad = step in self.bad_steps
        whole = [self._points(2 * step + number, bad=bad) for number in range(2)]
        return [shard(points, rank=rank, world_size=world_size) for points in whole]

    def loss(self, model: nn.Linear, batch: Points) -> tuple[Tensor, int]:
        """Return the summed squared error, and the number of points."""
        return (model(batch.x).float() - batch.y).square().sum(), len(batch.y)

    def validate(self, model: nn.Linear) -> Scores:
        """Say what is scripted, or the error on other points."""
        points = self._points(-1).to(model.weight.device)
        error = self.loss(model, points)[0].item() / len(points.y)
        score = self.scores.pop(0) if self.scores else error
        return Scores(score=score, numbers={"error": score})

    def save(self, model: nn.Linear, folder: Path) -> None:
        """Write one file."""
        folder.mkdir(exist_ok=True)
        (folder / "line.txt").write_text(str(model.weight.tolist()), encoding="utf-8")

    def notes(self) -> Sequence[str]:
        return ("it learns a line",)

    def sizes(self, model: nn.Linear) -> Record:
        """Say how long an epoch is."""
        return {"steps_per_epoch": 4.0}

    def _points(self, seed: int, *, bad: bool = False) -> Points:
        generator = torch.Generator().manual_seed(seed % 2**32)
        x = torch.randn(self.rows, 2, generator=generator)
        y = x @ torch.tensor([[3.0], [-1.0]]) + 1
        return Points(x=x, y=y * float("nan") if bad else y)
