"""Numbers about a model: ``openmmb evaluate``."""

import json as json_format
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from openmmb.cli.flags import (
    Device,
    EngineKind,
    PathOrNone,
    SplitOrNone,
    Switch,
    load_recipe,
    require_count,
)
from openmmb.cli.safety import DEFAULT_GUARD, GuardArg
from openmmb.errors import ConfigError

if TYPE_CHECKING:
    from openmmb.eval.measure import TaskReport
    from openmmb.tasks.mixture import TaskConfig
    from openmmb.training.replies.config import Recipe

Names = Annotated[str, arg(metavar="TASK[,TASK]", help_behavior_hint="")]
RecipeArg = Annotated[Positional[str | None], arg(metavar="[RECIPE]", help_behavior_hint="")]
Format = Literal["text", "markdown", "html"]


def evaluate(
    checkpoint: Annotated[Positional[Path], arg(metavar="CHECKPOINT")],
    recipe: RecipeArg = None,
    *,
    tasks: Names = "",
    split: SplitOrNone = None,
    root: PathOrNone = None,
    features: PathOrNone = None,
    max_examples: int = 1000,
    no_replies: Switch = False,
    replies: PathOrNone = None,
    gender_words: PathOrNone = None,
    ban_gendered_words: Switch = False,
    guard: GuardArg = DEFAULT_GUARD,
    batch_size: int = 16,
    device: Device = "auto",
    engine: EngineKind = "auto",
    format: Format = "text",  # noqa: A002 the name of the flag
    json: Switch = False,
) -> None:
    """Measure a model on what a recipe keeps for validation, or on a split of data sets.

    Prints for every data set: perplexity, and nats a character, which compare models whose tokens
    differ; BLEU-4 of captions where there are captions; and of the model's own replies, without
    the gender control and with the one that it chats with, F1, BLEU-4, ROUGE-L, how varied they
    are, sentiment, how many the guard would refuse, and how many have male and female words; where
    there are pictures, also in a positive and in a negative style.

    A recipe decides data sets and controls; how words and pictures are read is the model's own. If
    the model learnt from a part of a split, give its recipe: otherwise it is measured on examples
    that it has learnt from.

    Args:
        checkpoint: Folder of a model, its ORG/NAME on the hub, or a bundled one, small or tiny.
        recipe: A TOML file, or the name of a bundled recipe.
        tasks: Data sets to measure; with a recipe, those of its own to be measured.
        split: Which examples of --tasks; by default valid.
        root: Folder of the data sets; by default the recipe's data.root, or data.
        features: Folder of image vectors; by default the recipe's data.features. Only the pictures
            that are measured need to be in it.
        max_examples: Most examples of each data set.
        no_replies: Leave out the model's own replies, which take most of the time.
        replies: JSON lines file that keeps the replies; a later run takes them from there.
        gender_words: Folder with male_word_file.txt and female_word_file.txt, whose words are
            counted beside those of the lists that come with the package.
        ban_gendered_words: Also measure replies with gendered words banned from the search.
        guard: What counts as offensive.
        batch_size: Replies searched for together.
        device: Where the model runs.
        engine: Kind of engine: fp32 computes as training does; bf16 and int8 are faster and round;
            cuda and cuda-fp32 are the same for graphics cards; plain is PyTorch's own layers; auto
            is the checkpoint's own, or fp32.
        format: Print text, a Markdown document, or a page of HTML that needs no other file.
        json: Print one object a line.
    """
    from openmmb.cli.progress import counting
    from openmmb.eval.config import EvaluationConfig
    from openmmb.eval.evaluate import evaluate as measure

    require_count("--max-examples", max_examples)
    require_count("--batch-size", batch_size)
    if json and format != "text":
        raise ConfigError(f"--json: excludes --format {format}; leave one of the two out")
    _check_place(replies)
    settings = None if recipe is None else load_recipe(recipe)
    if settings is not None and split is not None:
        raise ConfigError("--split: the recipe says which examples; leave one of the two out")
    data = None if settings is None else settings.data
    config = EvaluationConfig(
        root=str(root or (data.root if data else "data")),
        split=split,
        features=str(features) if features else (data.features if data else None),
        max_examples=max_examples,
        controls=settings.controls if settings else None,
        seed=settings.seed if settings else 0,
        replies=not no_replies,
        saved_replies=str(replies) if replies else None,
        gender_words=str(gender_words) if gender_words else None,
        ban_gendered_words=ban_gendered_words,
        guard=guard.config(),
        batch_size=batch_size,
        device=device,
        engine=engine,
    )
    chosen = _choose(tasks, recipe, settings)
    with counting("replies") as progress:
        reports = measure(
            checkpoint,
            chosen,
            config,
            watch=lambda report: _print(report, format, json=json),
            progress=progress,
        )
    _print_document(str(checkpoint), reports, format)


def _check_place(replies: Path | None) -> None:
    """Refuse to add replies to a file that is somebody's."""
    from openmmb.eval.saved import has_replies
    from openmmb.outputs import check_file

    if replies is not None:
        check_file(replies, "a file of replies", has_replies)


def _choose(tasks: str, recipe: str | None, settings: "Recipe | None") -> "list[str | TaskConfig]":
    """Return the data sets that are named, as the recipe reads them if there is one."""
    names = list(dict.fromkeys(name.strip() for name in tasks.split(",") if name.strip()))
    if settings is None:
        if not names:
            raise ConfigError("nothing to measure; use a RECIPE, or --tasks with data sets")
        return [*names]
    own = {task.name: task for task in settings.tasks}
    for name in names:
        if name not in own:
            raise ConfigError(
                f"--tasks: {name!r} is not in {recipe}; expected one of {', '.join(own)}"
            )
    return [own[name] for name in names or own]


def _print(report: "TaskReport", form: Format, *, json: bool) -> None:
    """Print one data set's numbers where each is a line or a table of its own."""
    from openmmb.eval.report import as_text

    if form == "text":
        print(json_format.dumps(asdict(report)) if json else as_text(report), flush=True)


def _print_document(title: str, reports: "list[TaskReport]", form: Format) -> None:
    from openmmb.eval.report import as_html, as_markdown

    if form == "markdown":
        print(as_markdown(title, reports), end="")
    elif form == "html":
        print(as_html(title, reports), end="")
