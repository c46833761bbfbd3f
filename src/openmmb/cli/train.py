"""Running a recipe: ``openmmb train``."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional, arg

from openmmb.cli.flags import complain
from openmmb.text.printable import printable
from openmmb.threads import allow_spinning

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
    allow_spinning()
    from openmmb.training.train import read_recipe

    flags = args[1:]
    asks = bool({"-h", "--help"} & set(flags))  # help needs no start, which may be yet to be made
    recipe = read_recipe(args[0], start=_start_of(flags), needed=not asks)
    run(
        tyro.cli(
            type(recipe),
            default=recipe,
            args=flags,
            prog=f"openmmb train {args[0]}",
            config=(tyro.conf.AvoidSubcommands,),
        )
    )


def _start_of(flags: Sequence[str]) -> str | None:
    """Return what ``--start`` says: what the recipe leaves out comes from there."""
    start = None
    for at, word in enumerate(flags):
        if word.startswith("--start="):
            start = word.partition("=")[2]
        elif word == "--start" and at + 1 < len(flags):
            start = flags[at + 1]
    return start


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
