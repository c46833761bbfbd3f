"""Running a recipe: ``openmmb train``."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional, arg

from openmmb.cli.flags import complain
from openmmb.text.printable import printable

if TYPE_CHECKING:
    from openmmb.training.train import AnyRecipe


def train(recipe: Annotated[Positional[str], arg(metavar="RECIPE")]) -> None:
    """Run a recipe: a TOML file, or the name of a bundled one.

    Any key can be set after it: --optim.lr 1e-4. RECIPE --help lists them.

    Run again after an interruption, it continues where it stopped.

    Args:
        recipe: The file, or the name without .toml.
    """
    train_with([recipe])


def train_with(args: Sequence[str]) -> None:
    """Run the recipe that ``args`` begin with, changed by the flags behind it."""
    from openmmb.training.train import read_recipe

    recipe = read_recipe(args[0])
    run(tyro.cli(type(recipe), default=recipe, args=args[1:], prog=f"openmmb train {args[0]}"))


def run(recipe: "AnyRecipe") -> None:
    """Train, show how it goes, and print where the checkpoint is."""
    import openmmb
    from openmmb.cli.progress import watching
    from openmmb.distributed import environment_rank

    first = environment_rank() == 0
    with watching() if first else nullcontext(lambda _: None) as watch:
        result = openmmb.train(recipe, watch=watch)
    if not first:
        return
    if result.checkpoint is not None:
        print(printable(str(result.checkpoint)))
    elif result.reason == "stopped":
        complain("stopped before there was a checkpoint; the same command goes on")
    else:
        complain(f"{result.reason}, and no validation gave a number: there is no checkpoint")
