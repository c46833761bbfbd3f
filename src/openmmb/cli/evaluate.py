"""Numbers about a model: ``openmmb evaluate``."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from openmmb.cli.flags import PathOrNone, Switch, find_recipe, require_one

if TYPE_CHECKING:
    from openmmb.eval.evaluate import TaskReport


def evaluate(
    checkpoint: Annotated[Positional[Path], arg(metavar="CHECKPOINT")],
    recipe: Annotated[Positional[str], arg(metavar="RECIPE")],
    *,
    root: PathOrNone = None,
    features: PathOrNone = None,
    max_examples: int = 1000,
    json: Switch = False,
) -> None:
    """Measure a model on the validation examples of a recipe.

    The recipe says which data and controls; how words and pictures are read is the model's own.
    Prints perplexity for every data set, and BLEU-4 of captions where there are captions: written
    freely, and with the gender control that the model chats with.

    Args:
        checkpoint: Folder of a model, or tiny for the bundled one.
        recipe: A TOML file, or the name of a bundled recipe.
        root: Folder of the data sets, in place of the recipe's data.root.
        features: Folder of image vectors, in place of the recipe's data.features.
        max_examples: Most examples of each data set.
        json: Print one object a line.
    """
    from dataclasses import asdict, replace

    from openmmb import config
    from openmmb.checkpoint import find_checkpoint, load_checkpoint
    from openmmb.eval.evaluate import evaluate as measure
    from openmmb.progress import counting
    from openmmb.train.config import Recipe
    from openmmb.train.examples import some
    from openmmb.train.prepare import prepare

    require_one("--max-examples", max_examples)
    settings = config.load(Recipe, find_recipe(recipe))
    loaded = load_checkpoint(find_checkpoint(checkpoint))
    data = replace(
        settings.data,
        encoder=loaded.config.encoder,
        root=settings.data.root if root is None else str(root),
        features=settings.data.features if features is None else str(features),
        mirrored_features=None,
    )
    own = loaded.config
    prepared = prepare(
        replace(settings, start=str(checkpoint), data=data, model=own.model, encode=own.encode)
    )
    tasks = {t.config.name: some(t.valid, max_examples) for t in prepared.tasks if t.valid}
    with counting("captions") as progress:
        for report in measure(loaded, tasks, prepared.valid_encoder, progress=progress):
            print(json_format.dumps(asdict(report)) if json else _as_row(report))


def _as_row(report: "TaskReport") -> str:
    numbers = f"{report.task:22} {report.examples:6} examples  perplexity {report.perplexity:8.2f}"
    if report.bleu4 is not None:
        numbers += f"  BLEU-4 {100 * report.bleu4:5.2f}"
    if report.bleu4_controlled is not None:
        numbers += f"  with control {100 * report.bleu4_controlled:5.2f}"
    return numbers
