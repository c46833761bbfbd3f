"""What ParlAI says in shares and epochs, in the examples and updates of a recipe."""

from dataclasses import replace
from pathlib import Path

from openmmb.parlai.train_flags import TrainCommand
from openmmb.tasks.mixture import read_train
from openmmb.training.replies.config import Recipe


def fit_to_data(recipe: Recipe, command: TrainCommand) -> Recipe:
    """Fit the weights of tasks and the length of a run to the sizes of the data sets.

    The data sets are read only where the command speaks of shares or epochs.

    Raises:
        DataError: A data set is missing or malformed.
    """
    if command.epochs is None and command.shares is None:
        return recipe
    root = Path(recipe.data.root)
    sizes = [len(read_train(task, root)) for task in recipe.tasks]
    if command.shares is not None:
        drawn = [sum(sizes) * share / sum(command.shares) for share in command.shares]
        tasks = tuple(
            replace(task, weight=count / size)
            for task, count, size in zip(recipe.tasks, drawn, sizes, strict=True)
        )
        recipe = replace(recipe, tasks=tasks)
    if command.epochs is not None:
        batch = recipe.data.batch_size * recipe.data.accumulate
        steps = max(1, round(command.epochs * sum(sizes) / batch))
        schedule = replace(recipe.schedule, max_steps=min(steps, recipe.schedule.max_steps))
        recipe = replace(recipe, schedule=schedule)
    return recipe
