"""A model's numbers on data sets, in one call."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from openmmb.checkpoint import Checkpoint, SavedCheckpoint, find_checkpoint, open_checkpoint
from openmmb.data.batcher import Batcher
from openmmb.data.controls import plain_controls
from openmmb.data.draw import take_evenly
from openmmb.data.example import Example
from openmmb.distributed import open_device
from openmmb.engine.open import open_engine
from openmmb.errors import ConfigError, DataError
from openmmb.eval.config import EvaluationConfig
from openmmb.eval.measure import Progress, TaskReport, measure_tasks
from openmmb.eval.replies import OWN_LISTS, Measures
from openmmb.eval.saved import SavedReplies, fingerprint
from openmmb.safety.guard import open_guard
from openmmb.tasks import open_task
from openmmb.tasks.mixture import FeatureFolders, TaskConfig, open_batches, read_valid
from openmmb.text.gender import bundled_gender_words, open_gender_words


def evaluate(
    checkpoint: Checkpoint | Path | str,
    tasks: str | TaskConfig | Sequence[str | TaskConfig],
    config: EvaluationConfig | None = None,
    *,
    watch: Callable[[TaskReport], None] = lambda _: None,
    progress: Progress | None = None,
) -> list[TaskReport]:
    """Measure a model on data sets: perplexity, captions, and its own replies.

    Args:
        checkpoint: The model: one in memory, its folder, the name of a bundled one, or ``org/name``
            on the Hugging Face hub.
        tasks: Names of data sets, or how each is read, as a recipe's ``tasks`` say. A data set that
            has no examples is left out.
        config: What is looked at, and how; by default as ``EvaluationConfig`` says.
        watch: Sees the report of each data set as soon as it is there.
        progress: Called while replies and captions are searched for, with how many are done and how
            many there are to be.

    Raises:
        ConfigError: There is no such data set, device or kind of engine, image vectors do not fit
            the model, or something that measures is not installed.
        DataError: A file is missing or malformed, or no data set has an example.
        CheckpointError: The checkpoint is missing or damaged.
    """
    settings = config or EvaluationConfig()
    open_device(settings.device)  # before anything that takes a while
    opened = checkpoint if isinstance(checkpoint, Checkpoint) else _open(checkpoint)
    examples = _read(_named(tasks), settings)
    batcher = _batcher(opened, examples, settings)
    measures = _measures(settings) if settings.replies else None
    saved = _saved(opened, settings)
    engine = open_engine(opened, device=settings.device, kind=settings.engine)
    reports = []
    for report in measure_tasks(
        engine,
        examples,
        batcher,
        measures=measures,
        ban=settings.ban_gendered_words,
        saved=saved,
        batch_size=settings.batch_size,
        progress=progress,
    ):
        watch(report)
        reports.append(report)
    return reports


def _open(checkpoint: Path | str) -> SavedCheckpoint:
    return open_checkpoint(find_checkpoint(checkpoint))


def _named(tasks: str | TaskConfig | Sequence[str | TaskConfig]) -> dict[str, TaskConfig]:
    """Return how each data set is read, by its name."""
    several = [tasks] if isinstance(tasks, str | TaskConfig) else tasks
    named: dict[str, TaskConfig] = {}
    for task in several:
        config = TaskConfig(name=task) if isinstance(task, str) else task
        if named.setdefault(config.name, config) != config:
            raise ConfigError(f"tasks: {config.name!r} is there twice; its numbers would mix")
    if not named:
        raise ConfigError("tasks: expected at least one data set")
    return named


def _read(tasks: dict[str, TaskConfig], settings: EvaluationConfig) -> dict[str, Sequence[Example]]:
    """Read the examples of each data set that has some."""
    read = {
        name: take_evenly(list(_examples(task, settings)), settings.max_examples)
        for name, task in tasks.items()
    }
    measured = {name: examples for name, examples in read.items() if examples}
    if not measured:
        raise DataError(f"no examples to measure in {', '.join(tasks)}")
    return measured


def _examples(task: TaskConfig, settings: EvaluationConfig) -> Iterator[Example]:
    root = Path(settings.root)
    if settings.split is None:
        return read_valid(task, root)
    return open_task(task.name, root, both_sides=task.both_sides).examples(settings.split)


def _batcher(
    checkpoint: Checkpoint | SavedCheckpoint,
    examples: dict[str, Sequence[Example]],
    settings: EvaluationConfig,
) -> Batcher:
    config = checkpoint.config
    return open_batches(
        chain.from_iterable(examples.values()),
        root=Path(settings.root),
        tokenizer=checkpoint.tokenizer,
        encode=config.encode,
        controls=settings.controls or plain_controls(gender=config.gender is not None),
        seed=settings.seed,
        features=FeatureFolders(
            encoder=config.encoder,
            image_shape=(config.model.image_vectors, config.model.image_dim),
            plain=settings.features,
        ),
    )


def _measures(settings: EvaluationConfig) -> Measures:
    lists = {OWN_LISTS: bundled_gender_words()}
    if settings.gender_words is not None:
        name = Path(settings.gender_words).name
        lists[name] = open_gender_words(settings.gender_words)
    return Measures(checks=open_guard(settings.guard).checks, gender_words=lists)


def _saved(
    checkpoint: Checkpoint | SavedCheckpoint, settings: EvaluationConfig
) -> SavedReplies | None:
    if settings.saved_replies is None or not settings.replies:
        return None
    if isinstance(checkpoint, Checkpoint):
        raise ConfigError(
            "saved_replies: expected a checkpoint on disk, whose files tell its replies from "
            "another model's"
        )
    model = fingerprint(checkpoint.folder)
    if settings.engine != "auto":
        model = f"{model} {settings.engine}"
    return SavedReplies(Path(settings.saved_replies), model)
