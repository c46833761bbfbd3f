"""The curves of runs as one picture: a panel for each number, a colour for each run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from openmmb.errors import ConfigError, DataError
from openmmb.files import replacing
from openmmb.training.run.log import LOG, Record, numbers_of, read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MADE_BY = "openmmb plot"
"""What the PNG file says it was made with; so one is told from somebody's picture."""
COLUMNS = 4
"""Panels side by side."""
SMOOTH = 50
"""A noisy curve gets a smooth one over it: means over windows of one in so many of its points."""
STEP_PANELS = {
    "loss": "training loss",
    "lr": "learning rate",
    "norm": "norm of the gradient",
    "tokens_per_s": "tokens a second",
    "padding": "share of padding",
}
"""Numbers of the updates that get a panel, with their titles."""

Curve = list[tuple[float, float]]
"""Points: updates done, and a number."""


@dataclass(frozen=True)
class RunCurves:
    """The curves in the log of a run.

    Attributes:
        name: Name of the run.
        panels: Curves by the titles of their panels, in the order of the picture.
        damaged: Number of lines of the log that could not be read.
    """

    name: str
    panels: dict[str, Curve]
    damaged: int


def read_curves(run: Path) -> RunCurves:
    """Read the log of a run.

    Args:
        run: Its folder, or the log itself.

    Raises:
        ConfigError: There is no log.
        DataError: The log has no numbers yet.
    """
    path = run / LOG if run.is_dir() else run
    try:
        records, damaged = read_log(path)
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; expected the folder of a run, the 'out' of its recipe"
        ) from error
    panels: dict[str, Curve] = {}
    for title, step, number in _points(records):
        panels.setdefault(title, []).append((step, number))
    if not panels:
        skipped = f" (damaged lines: {damaged})" if damaged else ""
        raise DataError(f"{path}: no numbers of updates or validations yet{skipped}")
    return RunCurves(name=path.parent.name, panels=panels, damaged=damaged)


def is_plot(path: Path) -> bool:
    """Say whether a file is one that ``plot`` has written."""
    with path.open("rb") as file:
        head = file.read(1024)
    return head.startswith(b"\x89PNG") and b"tEXtSoftware\0" + MADE_BY.encode() in head


def plot(runs: Sequence[RunCurves], out: Path) -> None:
    """Draw runs over each other into a PNG.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("matplotlib is not installed; use pip install matplotlib") from error
    titles = sorted(
        dict.fromkeys(title for run in runs for title in run.panels), key=_validations_last
    )
    columns = min(COLUMNS, len(titles))
    rows = -(-len(titles) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.9 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for ax, title in zip(axes, titles, strict=False):
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("updates", fontsize=8)
        ax.tick_params(labelsize=8)
        ax.grid(visible=True, alpha=0.3)
        for number, run in enumerate(runs):
            _draw(ax, title, run.panels.get(title, []), color=f"C{number % 10}")
        if "perplexity" in title or title == STEP_PANELS["norm"]:
            _stretch(ax)
    for ax in axes[len(titles) :]:
        ax.set_visible(False)
    handles = [axes[0].plot([], [], color=f"C{number % 10}")[0] for number in range(len(runs))]
    figure.legend(handles, _names(runs), loc="outside upper left", ncols=4, fontsize=9)
    with replacing(out) as partial:
        figure.savefig(partial, format="png", dpi=120, metadata={"Software": MADE_BY})


def _points(records: Sequence[Record]) -> list[tuple[str, float, float]]:
    """Return title, update and number of every point."""
    points = []
    for record in records:
        step = record.get("step")
        if isinstance(step, str) or step is None:
            continue
        for key, number in numbers_of(record).items():
            if record["kind"] == "step" and key in STEP_PANELS:
                points.append((STEP_PANELS[key], step, number))
            elif record["kind"] == "valid" and key != "best":
                points.append((_valid_title(key), step, number))
    return points


def _valid_title(key: str) -> str:
    name, _, task = key.partition("/")
    name = "perplexity" if name == "ppl" else name
    return f"validation {name}, {task or 'mean'}"


def _validations_last(title: str) -> tuple[bool, int]:
    """Sort key: the panels of the updates in their order, then the others in that of the log."""
    known = list(STEP_PANELS.values())
    return title not in known, known.index(title) if title in known else 0


def _draw(ax: "Axes", title: str, curve: Curve, *, color: str) -> None:
    steps, numbers = [step for step, _ in curve], [number for _, number in curve]
    noisy = title in STEP_PANELS.values() and title != STEP_PANELS["lr"]
    if noisy and len(curve) >= SMOOTH:
        ax.plot(steps, numbers, color=color, alpha=0.25, linewidth=0.8)
        ax.plot(steps, _smooth(numbers), color=color, linewidth=1.6)
    else:
        marker = "" if title in STEP_PANELS.values() else "."
        ax.plot(steps, numbers, color=color, linewidth=1.6, marker=marker)


def _stretch(ax: "Axes") -> None:
    """Make the vertical axis logarithmic, with plain numbers on it however little it spans."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    ax.set_yscale("log")
    lowest, highest = ax.get_ylim()
    wide = highest > 10 * lowest
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if wide else MaxNLocator(6))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_locator(NullLocator())


def _smooth(numbers: Sequence[float]) -> list[float]:
    """Return for each number the mean of it and those around it, fewer at the ends."""
    reach = max(1, len(numbers) // SMOOTH)
    windows = [numbers[max(0, at - reach) : at + reach + 1] for at in range(len(numbers))]
    return [sum(window) / len(window) for window in windows]


def _names(runs: Sequence[RunCurves]) -> list[str]:
    """Return the names of the runs; runs of the same name get a number."""
    names = [run.name for run in runs]
    return [
        f"{name} ({names[: at + 1].count(name)})" if names.count(name) > 1 else name
        for at, name in enumerate(names)
    ]
