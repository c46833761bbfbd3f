"""A recipe of a classifier so small that an update takes milliseconds, and its data."""

import json
from pathlib import Path

from openmmb.model.classifier import ClassifierShape
from openmmb.safety.reading import ReadConfig
from openmmb.tasks.labelled import CATEGORIES, LABELS
from openmmb.tasks.mixture import TaskConfig
from openmmb.training.classifier.config import ClassifierRecipe, LabelledConfig
from openmmb.training.run.config import OptimConfig, ScheduleConfig, ValidConfig
from tests.build import write_tiny_data

RUDE, KIND = ("you are an oaf", "go away oaf", "what an oaf"), ("nice day", "i like dogs", "hello")


def write_labelled(root: Path) -> None:
    """Write DiaSafety, of which what is unsafe has the word "oaf", and tweets of which the same."""
    folder = root / "safety"
    (folder / "diasafety").mkdir(parents=True)
    (folder / "davidson").mkdir()
    rows = [
        {
            "context": f"Turn {at}",
            "response": f"{(RUDE if at % 2 else KIND)[at % 3]} {at}",
            "category": list(CATEGORIES)[at % 5],
            "label": "Unsafe" if at % 2 else "Safe",
        }
        for at in range(120)
    ]
    for name in ("train", "val"):
        (folder / "diasafety" / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    lines = [
        f"{at},3,0,0,3,{2 - at % 3},{(KIND, RUDE, RUDE)[at % 3][at % 2]} {at}" for at in range(200)
    ]
    header = ",count,hate_speech,offensive_language,neither,class,tweet"
    whole = "\n".join([header, *lines])
    (folder / "davidson" / "labeled_data.csv").write_text(whole, encoding="utf-8")


def tiny_classifier_recipe(
    folder: Path, *, out: str = "run", max_steps: int = 40, start: str | None = None
) -> ClassifierRecipe:
    """A recipe whose data (written if need be) and run lie in ``folder``."""
    root = folder / "data"
    if not root.exists():
        write_tiny_data(root)
        write_labelled(root)
    return ClassifierRecipe(
        name="tiny",
        out=str(folder / out),
        labelled=(LabelledConfig(name="diasafety"), LabelledConfig(name="davidson", weight=0.5)),
        conversations=(TaskConfig(name="convai2", weight=4.0), TaskConfig(name="dailydialog")),
        neutral_weight=0.02,
        listed_weight=0.02,
        calibrate=0.3,
        false_alarms=0.05,
        start=start,
        vocab_size=330,
        root=str(root),
        batch_size=8,
        save_every_steps=10,
        shape=ClassifierShape(
            num_labels=len(LABELS),
            embed_dim=16,
            ffn_dim=32,
            num_heads=2,
            num_layers=1,
            num_positions=48,
            scale_embeddings=True,
            num_segments=0,
            variant="prelayernorm",
            dropout=0.0,
        ),
        read=ReadConfig(max_tokens=32, max_context=16),
        optim=OptimConfig(name="adamw", lr=2e-2, max_grad_norm=1.0),
        schedule=ScheduleConfig(kind="constant", warmup_steps=2, max_steps=max_steps),
        valid=ValidConfig(every_steps=10, max_examples=50),
    )
