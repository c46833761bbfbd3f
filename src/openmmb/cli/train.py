"""Running a recipe: ``openmmb train``."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional, arg

from openmmb.chat.printable import printable
from openmmb.cli.flags import complain, find_recipe

if TYPE_CHECKING:
    from openmmb.train.config import Recipe


def train(recipe: Annotated[Positional[str], arg(metavar="RECIPE")]) -> None:
    """Run a recipe: a TOML file, or the name of a bundled one.

    Any key can be set after it: --optim.lr 1e-4. RECIPE --help lists them.

    Started again after it was stopped, a run goes on where it was.

    Args:
        recipe: The file, or the name without .toml.
    """
    train_with([recipe])


def train_with(args: Sequence[str]) -> None:
    """Run the recipe that ``args`` begin with, changed by the flags behind it."""
    from openmmb import config
    from openmmb.train.config import Recipe

    path = find_recipe(args[0])
    recipe = tyro.cli(
        Recipe,
        default=config.load(Recipe, path),
        args=args[1:],
        prog=f"openmmb train {args[0]}",
    )
    run(recipe)


def run(recipe: "Recipe") -> None:
    """Train, show how it goes, and print where the checkpoint is."""
    from openmmb.progress import watching
    from openmmb.train.trainer import train as run_recipe

    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts
    with watching() if first else nullcontext(lambda _: None) as watch:
        checkpoint = run_recipe(recipe, watch=watch)
    if not first:
        return
    if checkpoint.exists():
        print(printable(str(checkpoint)))
    else:
        complain("stopped before there was a checkpoint; the same command goes on")
