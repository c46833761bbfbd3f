"""The curves of runs: ``openmmb plot``."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from openmmb.cli.flags import complain
from openmmb.text.printable import printable


def plot(
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN")],
    *,
    out: Path = Path("curves.png"),
) -> None:
    """Draw the curves of one or more training runs over each other.

    A panel for the loss, the learning rate, the norm of the gradient, the speed, and each number
    that validations measure.

    Args:
        runs: Folders of runs, the 'out' of their recipes.
        out: PNG file to write.
    """
    from openmmb.errors import ConfigError
    from openmmb.training.plot import plot as draw
    from openmmb.training.plot import read_curves

    if not runs:
        raise ConfigError("RUN: missing; name the folder of at least one run")
    curves = [read_curves(run) for run in runs]
    for run, read in zip(runs, curves, strict=True):
        if read.damaged:
            complain(f"{run}: left out {read.damaged} damaged lines of its log")
    draw(curves, out)
    print(printable(str(out)))
