"""The one call that runs a recipe, whatever it trains."""

from pathlib import Path
from typing import TypeAlias

from openmmb.checkpoint import OUTPUT
from openmmb.config import load
from openmmb.distributed import environment_rank
from openmmb.outputs import check_folder
from openmmb.recipes import find_recipe
from openmmb.training.classifier.config import ClassifierRecipe, is_classifier_recipe
from openmmb.training.replies.config import Recipe
from openmmb.training.replies.settle import read_settled, settle, start_settings
from openmmb.training.run.log import Watch
from openmmb.training.run.loop import TrainingResult, run
from openmmb.training.run.run_folder import RUN

AnyRecipe: TypeAlias = Recipe | ClassifierRecipe
"""A recipe of a model that talks, or of a classifier of what may be said."""


def train(
    recipe: AnyRecipe | Path | str, *, watch: Watch = lambda _: None, workers: int | None = None
) -> TrainingResult:
    """Run a recipe to its end, or on to its end.

    Ctrl-C or the signal SIGTERM end the run after the update at hand: its state is saved, and the
    next call goes on from there, as if the run had not been stopped. Under ``torchrun`` all
    processes train together.

    Args:
        recipe: A recipe, the path of one, or the name of a bundled one.
        watch: Sees every record of the run's log as it is written.
        workers: Processes that make batches ahead of time, 0 for a thread; by default as many as
            the recipe says. It changes no batch.

    Returns:
        Where the best checkpoint lies, why the run ended, and how well it went.

    Raises:
        ConfigError: There is no such recipe, its parts do not fit each other or the run that is in
            its folder, or another run is using the folder.
        DataError: A data set or the image vectors are missing or malformed.
        CheckpointError: ``start`` is not a checkpoint, or no state of the run is whole.
        TrainingError: Loss or gradient were not finite ten times in a row, or the disk is full.
    """
    if isinstance(recipe, (str, Path)):
        recipe = read_recipe(recipe)
    elif isinstance(recipe, Recipe):
        recipe = settle(recipe, start_settings(recipe, needed=True))
    start = recipe.start if isinstance(recipe, Recipe) else None
    if environment_rank() == 0:  # the others would see what it writes meanwhile
        check_folder(recipe.out, RUN, sources=[start] if start else [], grows=True)
        check_folder(Path(recipe.out) / "checkpoint", OUTPUT, grows=True)
    if isinstance(recipe, ClassifierRecipe):
        return _train_classifier(recipe, watch, workers or 0)
    return _train_replies(recipe, watch, recipe.data.workers if workers is None else workers)


def read_recipe(recipe: Path | str, *, start: str | None = None, needed: bool = True) -> AnyRecipe:
    """Read a recipe, and fill in what it leaves out from the checkpoint that it starts from.

    Args:
        recipe: The path of one, or the name of a bundled one.
        start: Checkpoint to start from instead of the recipe's.
        needed: Whether that checkpoint must be had; if not, and it is not here, what is left out
            is as a new model has it.

    Raises:
        ConfigError: There is no such recipe, or it does not fit together.
        CheckpointError: The start is needed, and is no checkpoint.
    """
    path = find_recipe(recipe)
    if is_classifier_recipe(path):
        return load(ClassifierRecipe, path)
    return read_settled(path, start=start, needed=needed)


def _train_replies(recipe: Recipe, watch: Watch, workers: int) -> TrainingResult:
    from openmmb.training.replies.objective import Replies
    from openmmb.training.replies.prepare import prepare

    return run(lambda: Replies(recipe, prepare(recipe)), recipe, watch=watch, workers=workers)


def _train_classifier(recipe: ClassifierRecipe, watch: Watch, workers: int) -> TrainingResult:
    from openmmb.training.classifier.prepare import prepare_verdicts

    return run(lambda: prepare_verdicts(recipe), recipe, watch=watch, workers=workers)
