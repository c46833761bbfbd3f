"""Numbers about a model: ``openmmb evaluate``."""

import json as json_format
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from openmmb.cli.flags import Device, PathOrNone, Switch, require_count
from openmmb.cli.safety import DEFAULT_GUARD, GuardArg, GuardFlags
from openmmb.errors import ConfigError
from openmmb.recipes import find_recipe

if TYPE_CHECKING:
    from openmmb.checkpoint import SavedCheckpoint
    from openmmb.data.batcher import Batcher
    from openmmb.data.controls import ControlsConfig
    from openmmb.data.example import Example, Split
    from openmmb.eval.evaluate import TaskReport
    from openmmb.eval.replies import Measures, ReplyReport
    from openmmb.tasks.mixture import TaskConfig

ROOT = "data"
Names = Annotated[str, arg(metavar="TASK[,TASK]", help_behavior_hint="")]
RecipeArg = Annotated[Positional[str | None], arg(metavar="[RECIPE]", help_behavior_hint="")]


def evaluate(
    checkpoint: Annotated[Positional[Path], arg(metavar="CHECKPOINT")],
    recipe: RecipeArg = None,
    *,
    tasks: Names = "",
    split: Literal["train", "valid", "test"] | None = None,
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
    json: Switch = False,
) -> None:
    """Measure a model on what a recipe keeps for validation, or on a split of data sets.

    Prints for every data set: perplexity; BLEU-4 of captions where there are captions; and of the
    model's own replies, without the gender control and with the one that it chats with, F1, BLEU-4,
    ROUGE-L, sentiment, how many the guard would refuse, and how many have male and female words;
    where there are pictures, also in a positive and in a negative style.

    A recipe says which data and controls; how words and pictures are read is the model's own. Give
    the recipe of a model that learnt from a part of a split, or numbers are of what it learnt.

    Args:
        checkpoint: Folder of a model, its ORG/NAME on the hub, or tiny for the bundled one.
        recipe: A TOML file, or the name of a bundled recipe.
        tasks: Data sets to measure; with a recipe, those of its own to be measured.
        split: Which examples of --tasks; by default valid.
        root: Folder of the data sets; by default the recipe's data.root, or data.
        features: Folder of image vectors; by default the recipe's data.features. Only those of the
            pictures that are measured need be there.
        max_examples: Most examples of each data set.
        no_replies: Leave out the model's own replies, which take most of the time.
        replies: JSON lines file for the replies, to read; a later run takes them from there.
        gender_words: Folder with male_word_file.txt and female_word_file.txt, whose words are
            counted beside those of the lists that come with the package.
        ban_gendered_words: Also measure replies with gendered words banned from the search.
        guard: What counts as offensive.
        batch_size: Replies searched for together.
        device: Where the model runs.
        json: Print one object a line.
    """
    from dataclasses import asdict

    from openmmb.checkpoint import find_checkpoint, open_checkpoint
    from openmmb.cli.progress import counting
    from openmmb.engine.open import open_engine
    from openmmb.eval.evaluate import evaluate as measure
    from openmmb.eval.saved import SavedReplies, fingerprint

    require_count("--max-examples", max_examples)
    require_count("--batch-size", batch_size)
    chosen = _choose(recipe, tasks, split, root, features)
    folder = find_checkpoint(checkpoint)
    opened = open_checkpoint(folder)
    examples = chosen.read(max_examples)
    encoder = _encoder(opened, chosen, examples)
    measures = None if no_replies else _measures(guard, gender_words)
    saved = None if replies is None else SavedReplies(replies, fingerprint(folder))
    engine = open_engine(opened, device=device)
    with counting("replies") as progress:
        for report in measure(
            engine,
            examples,
            encoder,
            measures=measures,
            ban=ban_gendered_words,
            saved=saved,
            batch_size=batch_size,
            progress=progress,
        ):
            print(json_format.dumps(asdict(report)) if json else _as_text(report), flush=True)


@dataclass(frozen=True)
class _Chosen:
    """What is measured.

    Attributes:
        tasks: How each data set is read.
        split: Whose examples; None: those that each of ``tasks`` keeps for validation.
        root: Folder of the data sets.
        features: Folder of image vectors, or None.
        controls: What is added to the examples for their perplexity.
        seed: Decides its draws.
    """

    tasks: Sequence["TaskConfig"]
    split: "Split | None"
    root: Path
    features: str | None
    controls: "ControlsConfig | None"
    seed: int

    def read(self, most: int) -> dict[str, Sequence["Example"]]:
        """Read at most so many examples of each data set that has some."""
        from openmmb.data.draw import take_evenly

        return {
            task.name: found
            for task in self.tasks
            if (found := take_evenly(list(self._all(task)), most))
        }

    def _all(self, task: "TaskConfig") -> Iterator["Example"]:
        from openmmb.tasks import open_task
        from openmmb.tasks.mixture import held_out

        opened = open_task(task.name, self.root, both_sides=task.both_sides)
        if self.split is not None or not task.holdout:
            yield from opened.examples(self.split or "valid")
            return
        for example in opened.examples(task.split):
            if held_out(example, task.holdout):
                yield example


def _choose(
    recipe: str | None,
    tasks: str,
    split: "Split | None",
    root: Path | None,
    features: Path | None,
) -> _Chosen:
    from openmmb import config
    from openmmb.tasks.mixture import TaskConfig
    from openmmb.training.replies.config import Recipe

    names = [name.strip() for name in tasks.split(",") if name.strip()]
    given = None if features is None else str(features)
    if recipe is None:
        if not names:
            raise ConfigError("nothing to measure; give a RECIPE, or --tasks with data sets")
        configs = [TaskConfig(name=name) for name in dict.fromkeys(names)]
        return _Chosen(configs, split or "valid", root or Path(ROOT), given, None, 0)
    if split is not None:
        raise ConfigError("--split: the recipe says which examples; leave one of the two out")
    settings = config.load(Recipe, find_recipe(recipe))
    own = {task.name: task for task in settings.tasks}
    for name in names:
        if name not in own:
            raise ConfigError(f"--tasks: {name!r} is not in {recipe}; there are: {', '.join(own)}")
    return _Chosen(
        tasks=[own[name] for name in names or own],
        split=None,
        root=root or Path(settings.data.root),
        features=given or settings.data.features,
        controls=settings.controls,
        seed=settings.seed,
    )


def _encoder(
    checkpoint: "SavedCheckpoint", chosen: _Chosen, examples: Mapping[str, Sequence["Example"]]
) -> "Batcher":
    from itertools import chain

    from openmmb.data.controls import ControlsConfig
    from openmmb.tasks.mixture import FeatureFolders, open_batches

    config = checkpoint.config
    return open_batches(
        chain.from_iterable(examples.values()),
        root=chosen.root,
        tokenizer=checkpoint.tokenizer,
        encode=config.encode,
        controls=chosen.controls or ControlsConfig(gender=config.gender is not None),
        seed=chosen.seed,
        features=FeatureFolders(
            encoder=config.encoder,
            image_shape=(config.model.image_vectors, config.model.image_dim),
            plain=chosen.features,
        ),
    )


def _measures(guard: "GuardFlags", gender_words: Path | None) -> "Measures":
    from openmmb.eval.replies import OWN_LISTS, Measures
    from openmmb.safety.guard import open_guard
    from openmmb.text.gender import bundled_gender_words, open_gender_words

    lists = {OWN_LISTS: bundled_gender_words()}
    if gender_words is not None:
        lists[gender_words.name] = open_gender_words(str(gender_words))
    return Measures(checks=open_guard(guard.config()).checks, gender_words=lists)


def _as_text(report: "TaskReport") -> str:
    from openmmb.text.table import table

    numbers = f"{report.task:22} {report.examples:6} examples  perplexity {report.perplexity:8.2f}"
    if report.perplexity_uncontrolled is not None:
        numbers += f"  uncontrolled {report.perplexity_uncontrolled:8.2f}"
    if report.perplexity_controlled is not None:
        numbers += f"  controlled {report.perplexity_controlled:8.2f}"
    if report.bleu4 is not None:
        numbers += f"  captions BLEU-4 {100 * report.bleu4:5.2f}"
    if report.bleu4_controlled is not None:
        numbers += f"  controlled {100 * report.bleu4_controlled:5.2f}"
    if not report.replies:
        return numbers
    rows = [_cells(replies) for replies in report.replies]
    lines = table([list(rows[0]), *(list(cells.values()) for cells in rows)])
    return "\n".join([numbers, *(f"  {line}" for line in lines)])


def _cells(report: "ReplyReport") -> dict[str, str]:
    """Return the numbers of one setting, in per cent but for sentiment and length."""
    cells = {
        "replies": report.setting,
        "F1": f"{100 * report.f1:.2f}",
        "BLEU-4": f"{100 * report.bleu4:.2f}",
        "ROUGE-L": f"{100 * report.rouge_l:.2f}",
        "words": f"{report.words:.1f}",
        "sentiment": f"{report.sentiment:+.3f}",
        "unpleasant": f"{100 * report.unpleasant:.2f}",
    }
    cells |= {
        f"refused by {name}": f"{100 * share:.2f}" for name, share in report.offensive.items()
    }
    for name in report.male:
        cells[f"male ({name})"] = f"{100 * report.male[name]:.2f}"
        cells[f"female ({name})"] = f"{100 * report.female[name]:.2f}"
    return cells
