"""Data sets: what there is, fetching them, looking at them: ``openmmb data``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

from openmmb.cli.flags import (
    DEFAULT_CHECKPOINT,
    PathOrNone,
    SplitOrNone,
    Switch,
    complain,
    load_recipe,
    require_count,
)
from openmmb.errors import ConfigError, DataError, unknown
from openmmb.text.printable import printable

if TYPE_CHECKING:
    from openmmb.checkpoint import CheckpointConfig
    from openmmb.tasks.download.sources import Source
    from openmmb.text.tokenizer import Tokenizer
    from openmmb.training.replies.config import Recipe

ROOT = Path("data")
Names = Annotated[Positional[tuple[str, ...]], arg(metavar="[NAME ...]", help_behavior_hint="")]


@dataclass(frozen=True)
class List:
    """List data sets, their licences, and which of their files are at hand."""

    names: Names = ()
    """Which data sets; by default all."""
    root: Path = ROOT
    """Folder of the data sets."""
    count: Switch = False
    """Read what is at hand and compare it with what was published."""

    def run(self) -> None:
        """Print the list."""
        from openmmb.tasks.at_hand import count_at_hand, splits_at_hand
        from openmmb.tasks.catalogue import ABOUT
        from openmmb.text.table import table

        rows = [("name", "at hand", "published", "licence", "what it is")]
        chosen = self.names or tuple(ABOUT)
        for name in chosen:
            if name not in ABOUT:
                raise ConfigError(unknown("data set", name, ABOUT))
            about = ABOUT[name]
            at_hand = ", ".join(splits_at_hand(name, self.root)) or "-"
            published = " / ".join(f"{number:,}" for number in about.published.values()) or "-"
            rows.append((name, at_hand, published, about.licence, about.what))
        for line in table(rows):
            print(line)
        for name in chosen if self.count else ():
            for line in count_at_hand(name, self.root):
                print(line)


@dataclass(frozen=True)
class Fetch:
    """Fetch data sets from where they were published, and check that they are unchanged.

    Run again after an interruption, it continues where it stopped.
    """

    names: Names = ()
    """Data sets, as openmmb data list calls them."""
    root: Path = ROOT
    """Folder of the data sets."""
    pictures: Switch = False
    """Fetch the pictures too, where a data set has any: gigabytes."""
    accept_yfcc: Switch = False
    """Say that you have permission to use YFCC100M's photographs, which Image-Chat is about."""

    def run(self) -> None:
        """Fetch, and print what came."""
        from openmmb.tasks.at_hand import count_at_hand
        from openmmb.tasks.catalogue import ABOUT
        from openmmb.tasks.download.sources import PHOTOS, SOURCES

        self._check()
        for name in self.names:
            print(f"{name}: licence: {ABOUT[name].licence}")
            for source in SOURCES[name]:
                if self.pictures or not source.pictures:
                    _fetch(source, self.root)
            if self.pictures and name in PHOTOS:
                _fetch_photos(name, self.root)
            for line in count_at_hand(name, self.root):
                print(line)

    def _check(self) -> None:
        from openmmb.tasks.catalogue import ABOUT
        from openmmb.tasks.download.sources import PHOTOS, SOURCES

        if not self.names:
            raise ConfigError(f"fetch: expected at least one of {', '.join(sorted(SOURCES))}")
        for name in self.names:
            if name in ABOUT and name not in SOURCES:
                raise ConfigError(f"{name}: cannot be fetched: {ABOUT[name].otherwise}")
            if name not in SOURCES:
                raise ConfigError(unknown("data set", name, SOURCES))
            if self.pictures and name in PHOTOS and not self.accept_yfcc:
                raise ConfigError(f"{name}: {PHOTOS[name].terms}; then use {PHOTOS[name].flag}")


@dataclass(frozen=True)
class Show:
    """Show examples as a model sees them: their tokens, with what marks them and what is cut."""

    task: Annotated[Positional[str], arg(metavar="TASK")]
    """Name of a data set."""
    root: PathOrNone = None
    """Folder of the data sets; by default the recipe's, or data."""
    split: SplitOrNone = None
    """Which examples; by default those that the recipe learns from, or train."""
    number: Annotated[int, arg(aliases=["-n"])] = 3
    """How many examples."""
    start: int = 0
    """Number of the first example, from 0."""
    epoch: int = 0
    """Epoch whose controls are shown, from 0."""
    recipe: Annotated[str | None, arg(metavar="RECIPE", help_behavior_hint="")] = None
    """TOML file, or name of a bundled recipe, whose controls, lengths and layout are shown."""
    checkpoint: PathOrNone = None
    """Model whose vocabulary is shown, and without a recipe its lengths; by default small."""

    def run(self) -> None:
        """Print the examples."""
        from itertools import islice

        from openmmb.data.controls import plain_controls
        from openmmb.data.example import one_caption
        from openmmb.tasks import open_task
        from openmmb.tasks.mixture import TaskConfig, open_batches
        from openmmb.tasks.preview import preview

        require_count("--number", self.number)
        require_count("--start", self.start, least=0)
        require_count("--epoch", self.epoch, least=0)
        recipe = None if self.recipe is None else load_recipe(self.recipe)
        vocabulary = _open_vocabulary(self.checkpoint, recipe)
        root = self.root or Path(recipe.data.root if recipe else ROOT)
        tasks = recipe.tasks if recipe else ()
        config = next((t for t in tasks if t.name == self.task), TaskConfig(name=self.task))
        split = self.split or config.split
        task = open_task(self.task, root, both_sides=config.both_sides)
        examples = list(islice(task.examples(split), self.start, self.start + self.number))
        if not examples:
            raise ConfigError(
                f"--start: {self.start}, but split {split!r} of {self.task} has fewer examples"
            )
        batcher = open_batches(
            examples,
            root=root,
            tokenizer=vocabulary.tokenizer,
            encode=(recipe.encode if recipe else None) or vocabulary.config.encode,
            controls=(recipe.controls if recipe else None)
            or plain_controls(gender=vocabulary.config.gender is not None),
            seed=recipe.seed if recipe else 0,
            features=None,
        )
        print(f"vocabulary of {printable(vocabulary.name)}; controls of epoch {self.epoch}")
        for number, example in enumerate(examples, self.start):
            steered = batcher.controls.apply(one_caption(example, self.epoch), self.epoch)
            print(f"\n{self.task} {split} {number}: {printable(example.conversation)}")
            if example.image_id is not None:
                model, encoder = vocabulary.config.model, vocabulary.config.encoder
                shape = f"{model.image_vectors} vectors of {model.image_dim}"
                print(f"  picture  {printable(example.image_id)}: {shape}, {encoder}")
            for line in preview(steered, batcher.tokenizer, batcher.config).lines(batcher.config):
                print(f"  {printable(line)}")


@dataclass(frozen=True)
class Stats:
    """Count what a recipe trains on: examples, tokens, pictures, and the share of each control."""

    recipe: Annotated[Positional[str], arg(metavar="RECIPE")]
    """A TOML file, or the name of a bundled recipe."""
    root: PathOrNone = None
    """Folder of the data sets; by default the recipe's data.root."""
    checkpoint: PathOrNone = None
    """Model whose vocabulary counts; by default the one that the recipe starts from, else small."""
    max_examples: int = 2000
    """Most examples of each data set that are turned into tokens."""

    def run(self) -> None:
        """Print the numbers."""
        from openmmb.cli.progress import counting
        from openmmb.data.controls import ControlsConfig
        from openmmb.tasks.mixture import open_batches, read_train
        from openmmb.tasks.statistics import DrawnTask, describe, measure

        require_count("--max-examples", self.max_examples)
        recipe = load_recipe(self.recipe)
        vocabulary = _open_vocabulary(self.checkpoint, recipe)
        root = self.root or Path(recipe.data.root)
        drawn: list[DrawnTask] = []
        with counting("data sets") as progress:
            for done, task in enumerate(recipe.tasks, start=1):
                examples = read_train(task, root)
                batcher = open_batches(
                    examples,
                    root=root,
                    tokenizer=vocabulary.tokenizer,
                    encode=recipe.encode or vocabulary.config.encode,
                    controls=recipe.controls or ControlsConfig(),
                    seed=recipe.seed,
                    features=None,
                )
                counted = measure(examples, batcher, max_examples=self.max_examples)
                drawn.append(DrawnTask(task.name, task.weight, counted))
                progress(done, len(recipe.tasks))
        for line in describe(drawn, recipe.data.batch_size):
            print(line)
        print(f"tokens are those of the vocabulary of {printable(vocabulary.name)}")


@dataclass(frozen=True)
class Check:
    """Judge a file of your own conversations line by line: every fault, then what it holds.

    Exit code 2 where a line is faulty, or a picture that it names is missing.
    """

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """JSON lines, a conversation each; docs/own-data.md describes them."""
    images: PathOrNone = None
    """Folder or tar of pictures, or text file of their paths, in which those named should be."""
    features: PathOrNone = None
    """Folder of image vectors in which the pictures named should be."""
    checkpoint: Annotated[Path, arg(metavar="CHECKPOINT", help_behavior_hint="")] = (
        DEFAULT_CHECKPOINT
    )
    """Model whose vocabulary and lengths count: the one that you start from."""

    def run(self) -> None:
        """Print the faults on standard error and the summary on standard output."""
        from openmmb.checkpoint import find_checkpoint, open_checkpoint
        from openmmb.tasks.own import check_file, describe, describe_lengths, describe_pictures

        opened = open_checkpoint(find_checkpoint(self.checkpoint))
        report = check_file(self.file)
        for fault in report.faults:
            complain(fault)
        lines = [*describe(report)]
        there = self._pictures()
        if report.image_ids:
            source = " and ".join(str(p) for p in (self.images, self.features) if p is not None)
            lines.append(describe_pictures(report, there, source))
        lines += describe_lengths(report, opened.tokenizer, opened.config.encode)
        for line in lines:
            print(printable(line))
        print(printable(f"tokens are those of the vocabulary of {self.checkpoint}"))
        if report.faulty:
            raise DataError(f"{self.file}: {report.faulty} of {report.lines} lines are faulty")
        if not report.examples:
            raise DataError(f"{self.file}: no conversations in it; expected one a line")
        missing = report.image_ids - there if there is not None else set()
        if missing:
            raise DataError(f"{self.file}: pictures that it names are missing: {len(missing)}")

    def _pictures(self) -> set[str] | None:
        """Return the ids of the pictures that are there; None: nobody said where to look."""
        from openmmb.vision.features.pictures import list_pictures
        from openmmb.vision.features.vectors import Features

        ids = []
        if self.images is not None:
            ids.append({picture.image_id for picture in list_pictures([self.images])[0]})
        if self.features is not None:
            ids.append(set(Features(self.features)))
        return set.intersection(*ids) if ids else None


def data(
    command: Annotated[
        Annotated[List, subcommand("list")]
        | Annotated[Fetch, subcommand("fetch")]
        | Annotated[Show, subcommand("show")]
        | Annotated[Stats, subcommand("stats")]
        | Annotated[Check, subcommand("check")],
        arg(name=""),
        OmitArgPrefixes,
    ],
) -> None:
    """Data sets: what there is, fetching them, looking at them, judging your own."""
    command.run()


def _fetch(source: "Source", root: Path) -> None:
    from openmmb.cli.progress import counting
    from openmmb.tasks.download.fetch import fetch

    with counting(f"{source.name}, MB", unit=2**20) as progress:
        done = fetch(source, root, progress=progress)
    how = "there before" if done.before else f"from {source.url}"
    files = "1 file" if done.files == 1 else f"{done.files} files"
    print(printable(f"{done.folder}: {files}, {how}"))


def _fetch_photos(name: str, root: Path) -> None:
    from openmmb.cli.progress import counting
    from openmmb.tasks.at_hand import pictures_at_hand
    from openmmb.tasks.download.photos import REPORT, fetch_photos
    from openmmb.tasks.download.sources import PHOTOS

    image_ids = pictures_at_hand(name, root)
    with counting("photographs") as progress:
        report = fetch_photos(PHOTOS[name], image_ids, root, progress=progress)
    counts = (
        f"{report.fetched} fetched, {report.before} there before, {len(report.missing)} missing"
    )
    print(printable(f"{report.folder}: {counts}"))
    if report.missing:
        complain(f"{report.folder / REPORT}: says which are missing and why")


@dataclass(frozen=True)
class _Vocabulary:
    """The vocabulary of a checkpoint, and its settings.

    Attributes:
        name: What the checkpoint is called.
        config: Its settings.
        tokenizer: Its vocabulary.
    """

    name: str
    config: "CheckpointConfig"
    tokenizer: "Tokenizer"


def _open_vocabulary(checkpoint: Path | None, recipe: "Recipe | None") -> _Vocabulary:
    """Open the vocabulary of a checkpoint, of what a recipe starts from, or of the default one.

    A recipe's start that is not there yet, since another recipe makes it, is no mistake here.
    """
    from openmmb.checkpoint import TOKENIZER, find_checkpoint, open_checkpoint
    from openmmb.hub import find_here
    from openmmb.text.tokenizer import PERSON

    start = recipe.start if recipe is not None else None
    folder = None if start is None else find_here(start)
    there = folder is not None and (folder / TOKENIZER).is_file()
    chosen = checkpoint or (Path(start) if start and there else DEFAULT_CHECKPOINT)
    opened = open_checkpoint(find_checkpoint(chosen))
    encode = None if recipe is None else recipe.encode
    turns = encode is not None and encode.layout == "turns"
    if turns and PERSON not in opened.tokenizer.special_names:
        missing = f"start: {start} is not here; " if start and not there else ""
        raise ConfigError(
            f"{missing}the vocabulary of {chosen} has no tokens for encode.layout 'turns'; use "
            "--checkpoint"
        )
    return _Vocabulary(str(chosen), opened.config, opened.tokenizer)
