"""Commands of ParlAI's, understood: ``openmmb parlai``."""

from collections.abc import Sequence
from typing import Annotated

from tyro.conf import Positional, arg

from openmmb.cli.flags import PathOrNone, Switch, complain


def parlai(
    command: Annotated[
        Positional[tuple[str, ...]], arg(metavar="COMMAND [FLAG VALUE ...]", help_behavior_hint="")
    ],
    *,
    features: PathOrNone = None,
    dry_run: Switch = False,
) -> None:
    """Run a command of ParlAI's, with its own flags.

    tm trains a recipe that says the same; interactive and safe_interactive chat. Each flag that
    does something else here, or nothing, is reported. COMMAND --help lists all known flags.

    Args:
        command: tm, interactive or safe_interactive, and ParlAI's flags.
        features: Folder of image vectors, which ParlAI computes itself.
        dry_run: Print the recipe, or the chat's settings, and do nothing.
    """
    own = [] if features is None else ["--features", str(features)]
    parlai_with([*command, *own, *(["--dry-run"] if dry_run else [])])


def parlai_with(args: Sequence[str]) -> None:
    """Do what ParlAI's command line ``args`` says, on this terminal."""
    from openmmb.cli.progress import waiting
    from openmmb.cli.train import run
    from openmmb.parlai.command import Console, run_command

    console = Console(show=print, note=complain, waiting=waiting, train=run)
    run_command(args, console)
