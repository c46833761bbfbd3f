"""Data sets: what there is, fetching them, looking at them: ``openmmb data``."""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg, subcommand

from openmmb.cli.flags import BUNDLED, PathOrNone, Switch, complain, require_one
from openmmb.errors import ConfigError, DataError
from openmmb.recipes import find_recipe
from openmmb.text.printable import printable

if TYPE_CHECKING:
    from openmmb.checkpoint import CheckpointConfig
    from openmmb.data.controls import Controls, ControlsConfig
    from openmmb.data.example import Example, Split
    from openmmb.tasks.download.sources import Source
    from openmmb.tasks.preview import Preview
    from openmmb.text.tokenizer import Tokenizer
    from openmmb.training.replies.config import Recipe

ROOT = Path("data")
Names = Annotated[Positional[tuple[str, ...]], arg(metavar="[NAME ...]", help_behavior_hint="")]


def list_tasks(names: Names = (), *, root: Path = ROOT, count: Switch = False) -> None:
    """List data sets, their licences, and which of their files are at hand.

    Args:
        names: Which; by default all.
        root: Folder of the data sets.
        count: Read what is at hand and compare it with what was published.
    """
    from openmmb.tasks.catalogue import ABOUT
    from openmmb.text.table import table

    rows = [("name", "at hand", "published", "licence", "what it is")]
    chosen = names or tuple(ABOUT)
    for name in chosen:
        _require_known(name, ABOUT)
        about = ABOUT[name]
        at_hand = ", ".join(_splits(name, root)) or "-"
        published = " / ".join(f"{number:,}" for number in about.published.values()) or "-"
        rows.append((name, at_hand, published, about.licence, about.what))
    for line in table(rows):
        print(line)
    if count:
        for name in chosen:
            for line in _counted(name, root):
                print(line)


def fetch(
    names: Names = (),
    *,
    root: Path = ROOT,
    pictures: Switch = False,
    accept_yfcc: Switch = False,
) -> None:
    """Fetch data sets from where they were published, and check that they are what was.

    Started again after it was stopped, it goes on where it was.

    Args:
        names: What openmmb data list lists.
        root: Folder of the data sets.
        pictures: Also the pictures, where the data set has some: gigabytes.
        accept_yfcc: You have leave to use YFCC100M's photographs, which Image-Chat is about.
    """
    from openmmb.tasks.catalogue import ABOUT
    from openmmb.tasks.download.sources import PHOTOS, SOURCES

    if not names:
        raise ConfigError(f"fetch: name what to fetch; there are: {', '.join(sorted(SOURCES))}")
    for name in names:
        _require_fetchable(name)
        if pictures and name in PHOTOS and not accept_yfcc:
            raise ConfigError(f"{name}: {PHOTOS[name].terms}; then say {PHOTOS[name].flag}")
    for name in names:
        print(f"{name}: licence: {ABOUT[name].licence}")
        for source in SOURCES[name]:
            if pictures or not source.pictures:
                _fetch(source, root)
        if pictures and name in PHOTOS:
            _fetch_photos(name, root)
        for line in _counted(name, root):
            print(line)


def show(
    task: Annotated[Positional[str], arg(metavar="TASK")],
    *,
    root: PathOrNone = None,
    split: Literal["train", "valid", "test"] | None = None,
    number: Annotated[int, arg(aliases=["-n"])] = 3,
    start: int = 0,
    epoch: int = 0,
    recipe: Annotated[str | None, arg(metavar="RECIPE", help_behavior_hint="")] = None,
    checkpoint: PathOrNone = None,
) -> None:
    """Show examples as a model sees them: their tokens, with what marks them and what is cut.

    Args:
        task: Name of a data set.
        root: Folder of the data sets; by default the recipe's, or data.
        split: Which part; by default what the recipe learns from, or train.
        number: How many examples.
        start: Number of the first, from 0.
        epoch: Of which epoch the controls are.
        recipe: Its controls, lengths and layout; a TOML file, or the name of a bundled one.
        checkpoint: Its vocabulary, and without a recipe its lengths; tiny by default.
    """
    from itertools import islice

    from openmmb import config
    from openmmb.data.controls import ControlsConfig
    from openmmb.data.example import one_caption
    from openmmb.tasks import open_task
    from openmmb.tasks.mixture import TaskConfig
    from openmmb.tasks.preview import preview
    from openmmb.training.replies.config import Recipe

    require_one("--number", number)
    settings = None if recipe is None else config.load(Recipe, find_recipe(recipe))
    folder, own, tokenizer = _vocabulary(checkpoint, settings)
    task_config = next(
        (t for t in (settings.tasks if settings else ()) if t.name == task), TaskConfig(name=task)
    )
    folder_of_data = root or Path(settings.data.root if settings else ROOT)
    part = split or task_config.split
    opened = open_task(task, folder_of_data, both_sides=task_config.both_sides)
    examples = list(islice(opened.examples(part), start, start + number))
    if not examples:
        raise ConfigError(f"--start: {start}, but split {part!r} of {task} ends before that")
    chosen = settings.controls if settings else ControlsConfig(gender=own.gender is not None)
    controls = _controls(chosen, examples, folder_of_data, settings.seed if settings else 0)
    encode = settings.encode if settings else own.encode
    print(f"vocabulary of {printable(str(folder))}; controls of epoch {epoch}")
    for at, example in enumerate(examples, start):
        shown = controls.apply(one_caption(example, epoch), epoch)
        print(f"\n{task} {part} {at}: {printable(example.conversation)}")
        if example.image_id is not None:
            shape = f"{own.model.image_vectors} vectors of {own.model.image_dim}"
            print(f"  picture  {printable(example.image_id)}: {shape}, {own.encoder}")
        _print_preview(preview(shown, tokenizer, encode), encode.max_context, encode.max_reply)


def stats(
    recipe: Annotated[Positional[str], arg(metavar="RECIPE")],
    *,
    root: PathOrNone = None,
    checkpoint: PathOrNone = None,
    max_examples: int = 2000,
) -> None:
    """Count what a recipe trains on: examples, tokens, pictures, and the share of each control.

    Args:
        recipe: A TOML file, or the name of a bundled recipe.
        root: Folder of the data sets, in place of the recipe's data.root.
        checkpoint: Its vocabulary; by default that of the recipe's start, else tiny.
        max_examples: Most examples of each data set that are turned into tokens.
    """
    from openmmb import config
    from openmmb.cli.progress import counting
    from openmmb.tasks.mixture import read_train
    from openmmb.tasks.statistics import DrawnTask, describe, measure
    from openmmb.training.replies.config import Recipe

    require_one("--max-examples", max_examples)
    settings = config.load(Recipe, find_recipe(recipe))
    folder, _, tokenizer = _vocabulary(checkpoint, settings)
    folder_of_data = root or Path(settings.data.root)
    found: list[DrawnTask] = []
    with counting("data sets") as progress:
        for done, task in enumerate(settings.tasks, start=1):
            examples = read_train(task, folder_of_data)
            controls = _controls(settings.controls, examples, folder_of_data, settings.seed)
            counted = measure(
                examples, controls, tokenizer, settings.encode, max_examples=max_examples
            )
            found.append(DrawnTask(task.name, task.weight, counted))
            progress(done, len(settings.tasks))
    for line in describe(found, settings.data.batch_size):
        print(line)
    print(f"tokens are those of the vocabulary of {printable(str(folder))}")


def data(
    done: Annotated[
        Annotated[None, subcommand("list", constructor=list_tasks)]
        | Annotated[None, subcommand("fetch", constructor=fetch)]
        | Annotated[None, subcommand("show", constructor=show)]
        | Annotated[None, subcommand("stats", constructor=stats)],
        arg(name=""),
    ],
) -> None:
    """Data sets: what there is, fetching them, looking at them."""
    # What is named after it has run by the time that its flags are read.


def _require_fetchable(name: str) -> None:
    from openmmb.tasks.catalogue import ABOUT
    from openmmb.tasks.download.sources import SOURCES

    if name in ABOUT and name not in SOURCES:
        raise ConfigError(f"{name}: is not fetched: {ABOUT[name].otherwise}")
    _require_known(name, SOURCES)


def _require_known(name: str, known: Collection[str]) -> None:
    import difflib

    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise ConfigError(f"no data set {name!r}{hint} there are: {', '.join(sorted(known))}")


def _splits(name: str, root: Path) -> "list[Split]":
    """Return the splits whose files are there."""
    from openmmb.tasks import TASKS

    if name not in TASKS:  # gender_words
        return []
    task = TASKS[name](root)
    found: list[Split] = []
    splits: tuple[Split, ...] = ("train", "valid", "test")
    for split in splits:
        try:
            task.files(split)
        except DataError:
            continue
        found.append(split)
    return found


def _counted(name: str, root: Path) -> Iterator[str]:
    """Read what is at hand and say whether it is all."""
    from openmmb.tasks import TASKS
    from openmmb.tasks.catalogue import ABOUT, completeness

    for split in _splits(name, root):
        count = sum(1 for _ in TASKS[name](root).examples(split))
        yield f"{name} {split}: {completeness(count, ABOUT[name].published.get(split))}"


def _fetch(source: "Source", root: Path) -> None:
    from openmmb.cli.progress import counting
    from openmmb.tasks.download.fetch import fetch as fetch_one

    with counting(f"{source.name}, MB") as show_megabytes:
        done = fetch_one(source, root, progress=_megabytes(show_megabytes))
    how = "there before" if done.before else f"from {source.url}"
    print(printable(f"{done.folder}: {done.files} files, {how}"))


def _megabytes(tell: Callable[[int, int], None]) -> Callable[[int, int], None]:
    return lambda done, total: tell(-(-done // 2**20), -(-total // 2**20))


def _fetch_photos(name: str, root: Path) -> None:
    from openmmb.cli.progress import counting
    from openmmb.tasks import TASKS
    from openmmb.tasks.download.photos import REPORT, fetch_photos
    from openmmb.tasks.download.sources import PHOTOS

    task = TASKS[name](root)
    ids = {
        example.image_id
        for split in _splits(name, root)
        for example in task.examples(split)
        if example.image_id is not None
    }
    with counting("photographs") as progress:
        report = fetch_photos(PHOTOS[name], ids, root, progress=progress)
    print(
        printable(
            f"{report.folder}: {report.fetched} fetched, {report.before} there before, "
            f"{len(report.missing)} missing"
        )
    )
    if report.missing:
        complain(f"{report.folder / REPORT}: says which are missing and why")


def _vocabulary(
    checkpoint: Path | None, recipe: "Recipe | None"
) -> "tuple[Path, CheckpointConfig, Tokenizer]":
    """Open the vocabulary and settings of a checkpoint, of what a recipe starts from, or of tiny.

    A recipe's start that is not there yet, being another recipe's end, is no mistake here.
    """
    from openmmb.checkpoint import CONFIG, TOKENIZER, CheckpointConfig, find_checkpoint
    from openmmb.config import load
    from openmmb.text.tokenizer import load_tokenizer

    start = Path(recipe.start) if recipe is not None and recipe.start else None
    if start is not None and not (start / TOKENIZER).is_file():
        start = None
    chosen = checkpoint or start or BUNDLED
    folder = find_checkpoint(chosen)
    return chosen, load(CheckpointConfig, folder / CONFIG), load_tokenizer(folder / TOKENIZER)


def _controls(
    config: "ControlsConfig", examples: "Sequence[Example]", root: Path, seed: int
) -> "Controls":
    from openmmb.data.controls import Controls
    from openmmb.tasks.polarities import read_polarities

    styled = any(example.style is not None for example in examples)
    polarities = read_polarities(root) if styled and config.category_frac else {}
    return Controls(config=config, polarities=polarities, seed=seed)


def _print_preview(shown: "Preview", max_context: int, max_reply: int) -> None:
    parts = {
        "pinned": shown.pinned,
        "turns": shown.turns,
        "then": shown.control,
        "reply": shown.reply,
    }
    for name, text in parts.items():
        if text:
            print(f"  {name:8} {printable(text)}")
    print(
        f"  tokens   context {shown.context_tokens} of {max_context}{_cut(shown.context_cut)}, "
        f"reply {shown.reply_tokens} of {max_reply}{_cut(shown.reply_cut)}"
    )


def _cut(tokens: int) -> str:
    return f" ({tokens} left out)" if tokens else ""
