"""What is refused, beside other libraries: ``python benchmarks/safety.py --data ROOT``.

Prints two Markdown tables. The first is of labelled texts, on the splits that no classifier here
has learnt from, and once more with listed words in disguise: precision, recall and F1 of what is
refused, area under the ROC curve and calibration error of the scores. The second is of ordinary
conversation, on the conversations that the recipe of the bundled classifier holds out: the share of
texts that is refused.

The peers are ``alt-profanity-check`` and ``better-profanity``; one that is not installed is left
out and named below the tables.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from openmmb.config import load
from openmmb.data.draw import take_evenly
from openmmb.errors import OpenMMBError
from openmmb.eval.classification import measure
from openmmb.safety.classifier import ClassifierCheck, open_classifier
from openmmb.safety.guard import NO_CLASSIFIER, Guard, GuardConfig, open_guard
from openmmb.tasks.labelled import Labelled, read_labelled
from openmmb.tasks.mixture import TaskConfig, read_task
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.classifier.noise import NoiseConfig, add_noise
from openmmb.training.classifier.texts import as_safe, without_negative

Judge = Callable[[Sequence[Labelled]], tuple[list[float], list[bool]]]
"""Texts -> how bad each looks, 0 to 1, and whether it is refused."""


@dataclass(frozen=True)
class Texts:
    """The texts of one row of a table."""

    name: str
    texts: Sequence[Labelled]


def main() -> int:
    """Measure everything that is installed."""
    args = _parse_args()
    torch.set_num_threads(args.threads)
    recipe = load(ClassifierRecipe, Path(str(resources.files("openmmb") / "recipes/safety.toml")))
    try:
        labelled = [
            Texts(part.name, take_evenly(read_labelled(part.name, args.data, "valid"), args.texts))
            for part in recipe.labelled
        ]
        labelled += [_disguised(row) for row in labelled if row.name == "davidson"]
        talk = [
            Texts(part.name, take_evenly(_as_texts(part, args.data), args.texts))
            for part in recipe.conversations
        ]
        judges, missing = _judges(args.classifier)
    except OpenMMBError as error:
        sys.stderr.write(f"benchmarks/safety.py: {error}\n")
        return 2
    _print_labelled(labelled, judges)
    _print_talk(talk, judges)
    for name in missing:
        print(f"\nnot installed, so left out: {name} (pip install {name})")
    return 0


def _parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--classifier", default="safety", help="folder, or a bundled one's name")
    parser.add_argument("--texts", type=int, default=100_000, help="most texts of a data set")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _as_texts(part: TaskConfig, root: Path) -> list[Labelled]:
    return [as_safe(example) for example in without_negative(read_task(part, root).valid, root)]


def _disguised(row: Texts) -> Texts:
    """Return the same texts with listed words spelled in ways that slip past a list of words."""
    noise = NoiseConfig(mentions=0, marks=0, misspelled=0, disguised=1)
    texts = [
        replace(text, text=add_noise(text.text, noise, row.name, number))
        for number, text in enumerate(row.texts)
    ]
    return Texts(f"{row.name}, disguised", texts)


def _judges(folder: str) -> tuple[dict[str, Judge], list[str]]:
    """Return what is compared, and the names of peers that are not installed."""
    judges: dict[str, Judge] = {}
    missing = []
    for name, module, build in (
        ("alt-profanity-check", "profanity_check", _alt_profanity_check),
        ("better-profanity", "better_profanity", _better_profanity),
    ):
        try:
            judges[name] = build(importlib.import_module(module))
        except ImportError:
            missing.append(name)
    check = open_classifier(folder)
    phrases = GuardConfig(classifier=NO_CLASSIFIER)
    judges["phrases"] = _guard(open_guard(phrases))
    judges["classifier"] = _classifier(check)
    judges["phrases + classifier"] = _guard(open_guard(phrases, more=[check]))
    return judges, missing


def _alt_profanity_check(module: Any) -> Judge:
    def judge(texts: Sequence[Labelled]) -> tuple[list[float], list[bool]]:
        scores = [float(score) for score in module.predict_prob([text.text for text in texts])]
        return scores, [bool(found) for found in module.predict([text.text for text in texts])]

    return judge


def _better_profanity(module: Any) -> Judge:
    module.profanity.load_censor_words()

    def judge(texts: Sequence[Labelled]) -> tuple[list[float], list[bool]]:
        found = [module.profanity.contains_profanity(text.text) for text in texts]
        return [float(one) for one in found], found

    return judge


def _guard(guard: Guard) -> Judge:
    def judge(texts: Sequence[Labelled]) -> tuple[list[float], list[bool]]:
        verdicts = guard.judge_many([(text.text, text.context) for text in texts])
        return [verdict.score for verdict in verdicts], [not verdict.safe for verdict in verdicts]

    return judge


def _classifier(check: ClassifierCheck) -> Judge:
    def judge(texts: Sequence[Labelled]) -> tuple[list[float], list[bool]]:
        verdicts = check.judge_many([(text.text, text.context) for text in texts])
        return [verdict.score for verdict in verdicts], [not verdict.safe for verdict in verdicts]

    return judge


def _print_labelled(rows: Sequence[Texts], judges: dict[str, Judge]) -> None:
    print("| data set | texts | unsafe | judge | precision | recall | F1 | AUC | ECE |")
    print("|---|---:|---:|---|---:|---:|---:|---:|---:|", flush=True)
    for row in rows:
        unsafe = [not text.safe for text in row.texts]
        for name, judge in judges.items():
            scores, refused = judge(row.texts)
            found = measure(scores, unsafe, refused)
            numbers = (found.precision, found.recall, found.f1, found.auc, found.calibration)
            cells = [row.name, str(found.texts), str(found.unsafe), name]
            print(f"| {' | '.join([*cells, *(f'{n:.3f}' for n in numbers)])} |", flush=True)


def _print_talk(rows: Sequence[Texts], judges: dict[str, Judge]) -> None:
    print(f"\n| refused of | texts | {' | '.join(judges)} |")
    print(f"|---|---:|{'---:|' * len(judges)}", flush=True)
    counts = dict.fromkeys(judges, 0)
    seconds = dict.fromkeys(judges, 0.0)
    for row in rows:
        cells = []
        for name, judge in judges.items():
            started = time.perf_counter()
            _, refused = judge(row.texts)
            seconds[name] += time.perf_counter() - started
            counts[name] += sum(refused)
            cells.append(f"{sum(refused) / len(refused):.2%}")
        print(f"| {row.name} | {len(row.texts)} | {' | '.join(cells)} |", flush=True)
    total = sum(len(row.texts) for row in rows)
    shares = [f"{count / total:.2%}" for count in counts.values()]
    times = [f"{1000 * spent / total:.2f}" for spent in seconds.values()]
    print(f"| all | {total} | {' | '.join(shares)} |")
    print(f"| ms a text | | {' | '.join(times)} |")


if __name__ == "__main__":
    sys.exit(main())
