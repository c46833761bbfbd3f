"""The curves of runs: ``openmmb plot``."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from openmmb.cli.flags import Switch, agree_to_replace, complain
from openmmb.text.printable import printable


def plot(
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN")],
    *,
    out: Path = Path("curves.png"),
    replace: Switch = False,
) -> None:
    """Draw the curves of one or more training runs over each other.

    A panel for the loss, the learning rate, the norm of the gradient, the speed, and each number
    that validations measure.

    Args:
        runs: Folders of runs, the 'out' of their recipes.
        out: PNG file to write.
        replace: Replace a plot that is there; on a terminal you are asked otherwise.
    """
    from openmmb.errors import ConfigError
    from openmmb.outputs import check_file
    from openmmb.training.plot import is_plot, read_curves
    from openmmb.training.plot import plot as draw

    if not runs:
        raise ConfigError("RUN: missing; name the folder of at least one run")
    if check_file(out, "a plot", is_plot):
        agree_to_replace(out, "a plot", replace=replace)
    if out.suffix.lower() not in ("", ".png"):
        raise ConfigError(f"--out: {out}: expected the name of a PNG file, such as curves.png")
    curves = [read_curves(run) for run in runs]
    for run, read in zip(runs, curves, strict=True):
        if read.damaged:
            complain(f"{run}: left out {read.damaged} damaged lines of its log")
    draw(curves, out)
    print(printable(str(out)))
