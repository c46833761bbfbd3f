"""Running a recipe: ``openmmb train``."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

import tyro
from tyro.conf import Positional, arg

from openmmb.cli.flags import complain
from openmmb.recipes import find_recipe
from openmmb.text.printable import printable

if TYPE_CHECKING:
    from openmmb.training.run.log import Watch

R = TypeVar("R")
R_in = TypeVar("R_in", contravariant=True)


class Train(Protocol[R_in]):
    """Runs a recipe."""

    def __call__(self, recipe: R_in, /, *, watch: "Watch") -> Path:
        """Run it and return the folder of its best checkpoint."""
        ...


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
    from openmmb.training.classifier.config import ClassifierRecipe, is_classifier_recipe
    from openmmb.training.replies.config import Recipe

    path = find_recipe(args[0])
    if is_classifier_recipe(path):
        from openmmb.training.classifier.objective import train_classifier

        run(train_classifier, _read(ClassifierRecipe, path, args))
    else:
        from openmmb.training.replies.objective import train as train_replies

        run(train_replies, _read(Recipe, path, args))


def run(train_it: "Train[R]", recipe: R) -> None:
    """Train, show how it goes, and print where the checkpoint is."""
    from openmmb.cli.progress import watching

    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts
    with watching() if first else nullcontext(lambda _: None) as watch:
        checkpoint = train_it(recipe, watch=watch)
    if not first:
        return
    if checkpoint.exists():
        print(printable(str(checkpoint)))
    else:
        complain("stopped before there was a checkpoint; the same command goes on")


def _read(kind: type[R], path: Path, args: Sequence[str]) -> R:
    """Read a recipe and change what the flags behind its name say."""
    from openmmb import config

    return tyro.cli(
        kind,
        default=config.load(kind, path),
        args=args[1:],
        prog=f"openmmb train {args[0]}",
    )
