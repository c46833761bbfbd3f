"""What is refused, beside other libraries: ``python benchmarks/safety.py --data ROOT``.

Prints three Markdown tables. The first is of labelled texts, on the splits that no classifier here
has learnt from, replies also without their context, and once more with listed words in disguise:
macro-F1, the mean of that of what is unsafe and of what is safe, at the threshold that is best for
it and as it is refused; precision and recall of what is refused, the share of harmless texts that
is, and the area under the ROC curve. A classifier is asked for the kinds that a data set is about.
TweetEval's hate tweets are none of the training. The second is of what is harmless: conversations
that the recipe of the bundled classifier holds out, the commonest words of ConvAI2 alone, names,
and words that look like listed ones; the share that is refused. The third is of this project's own
lines, by kind, in families that were not learnt.

The peers are ``alt-profanity-check`` and ``better-profanity``; one that is not installed is left
out and named below the tables. ``--bag`` adds a bag of words, learnt from the same labelled sets.
"""

import argparse
import importlib
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import torch

from openmmb.config import load
from openmmb.data.draw import take_evenly
from openmmb.errors import OpenMMBError
from openmmb.eval.classification import measure
from openmmb.safety.classifier import ClassifierCheck, open_classifier
from openmmb.safety.guard import NO_CLASSIFIER, Guard, GuardConfig, open_guard
from openmmb.safety.verdict import Side, Utterance, Verdict
from openmmb.tasks.labelled import Labelled, read_labelled
from openmmb.tasks.mixture import TaskConfig, read_task
from openmmb.training.classifier.bag import learn_bag
from openmmb.training.classifier.calibration import macro_f1
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.classifier.noise import NoiseConfig, add_noise
from openmmb.training.classifier.objective import asked
from openmmb.training.classifier.texts import as_safe, without_negative

Judge = Callable[[Sequence[Labelled]], tuple[list[float], list[bool]]]
"""Texts -> how bad each looks, 0 to 1, and whether it is refused."""
BATCH_SIZE = 64
"""Texts that are judged at once."""


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
        rows = [_read(part.name, args) for part in recipe.labelled]
        labelled = [row for row in rows if not all(text.safe for text in row.texts)]
        labelled += [_read("tweeteval_hate", args)]
        labelled += [_disguised(row) for row in labelled if row.name == "davidson"]
        labelled += [_alone(row) for row in labelled if row.name == "diasafety"]
        talk = [
            Texts(part.name, take_evenly(_as_texts(part, args.data), args.texts))
            for part in recipe.conversations
        ]
        talk += [row for row in rows if row not in labelled]
        talk += [_words(args.data), *_names(labelled), _lookalikes(labelled)]
        judges, missing = _judges(args.classifier)
        if args.bag:
            learnt = [
                t for one in recipe.labelled for t in read_labelled(one.name, args.data, "train")
            ]
            judges["bag of words"] = learn_bag(learnt)
    except OpenMMBError as error:
        sys.stderr.write(f"benchmarks/safety.py: {error}\n")
        return 2
    _print_labelled(labelled, judges)
    _print_talk(talk, judges)
    _print_kinds([text for row in labelled if row.name == "guard" for text in row.texts], judges)
    for name in missing:
        print(f"\nnot installed, so left out: {name} (pip install {name})")
    return 0


def _parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--classifier", default="safety", help="folder, or a bundled one's name")
    parser.add_argument("--texts", type=int, default=100_000, help="most texts of a data set")
    parser.add_argument("--bag", action="store_true", help="add a bag of words")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _as_texts(part: TaskConfig, root: Path) -> list[Labelled]:
    return [as_safe(example) for example in without_negative(read_task(part, root).valid, root)]


def _read(name: str, args: argparse.Namespace) -> Texts:
    return Texts(name, take_evenly(read_labelled(name, args.data, "valid"), args.texts))


def _alone(row: Texts) -> Texts:
    """Return the same texts without what was said before."""
    return Texts(f"{row.name}, alone", [replace(text, context=()) for text in row.texts])


def _words(root: Path) -> Texts:
    """Return the commonest words of ConvAI2, each a message of its own."""
    counts = Counter[str]()
    for example in read_task(TaskConfig(name="convai2", split="valid"), root).train:
        for text in (*example.context[-1:], example.reply):
            counts.update(re.findall(r"[a-z']+", text.lower()))
    common = [Labelled(word, frozenset(), "words") for word, _ in counts.most_common(2000)]
    return Texts("2,000 commonest words", common)


def _lookalikes(labelled: Sequence[Texts]) -> Texts:
    """Return words, not learnt, that hold a listed one."""
    texts = [text for row in labelled if row.name == "guard" for text in row.texts]
    return Texts("look-alikes", [text for text in texts if text.family.startswith("contains/")])


def _names(labelled: Sequence[Texts]) -> list[Texts]:
    """Return names that were not learnt, alone and in a sentence."""
    names = [
        text
        for row in labelled
        for text in row.texts
        if row.name == "guard" and text.family.startswith("name/")
    ]
    sentences = [replace(text, text=f"My name is {text.text.rstrip('.')}.") for text in names]
    return [Texts("names", names), Texts("names in a sentence", sentences)]


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


def _by_side(ask: Callable[[list[Utterance], Side], list[Verdict]]) -> Judge:
    """Return a judge that asks of each text as what its speaker would say."""

    def judge(texts: Sequence[Labelled]) -> tuple[list[float], list[bool]]:
        verdicts = [Verdict(safe=True)] * len(texts)
        for side in get_args(Side):
            rows = [row for row, text in enumerate(texts) if text.side == side]
            asked = [(texts[row].text, texts[row].context) for row in rows]
            for row, verdict in zip(rows, ask(list(asked), side), strict=True):
                verdicts[row] = verdict
        return [verdict.score for verdict in verdicts], [not verdict.safe for verdict in verdicts]

    return judge


def _guard(guard: Guard) -> Judge:
    return _by_side(lambda texts, side: guard.judge_many(texts, side=side))


def _classifier(check: ClassifierCheck) -> Judge:
    refuses = _by_side(check.judge_side)

    def judge(texts: Sequence[Labelled]) -> tuple[list[float], list[bool]]:
        kinds = asked(texts)
        columns = [at for at, label in enumerate(check.labels) if label in kinds]
        scores: list[float] = []
        for start in range(0, len(texts), BATCH_SIZE):
            batch = [(text.text, text.context) for text in texts[start : start + BATCH_SIZE]]
            scores += check.judge(batch)[:, columns].amax(1).tolist()
        return scores, refuses(texts)[1]

    return judge


def _best_macro_f1(scores: Sequence[float], unsafe: Sequence[bool]) -> float:
    """Return the macro-F1 at the threshold, a multiple of 0.01, that is best for it."""
    thresholds = (number / 100 for number in range(1, 100))
    return max(macro_f1([score >= at for score in scores], unsafe) for at in thresholds)


def _print_labelled(rows: Sequence[Texts], judges: dict[str, Judge]) -> None:
    print(
        "| data set | texts | unsafe | judge | best macro-F1 | macro-F1 | AUC | precision "
        "| unsafe refused | harmless refused |"
    )
    print("|---|---:|---:|---|---:|---:|---:|---:|---:|---:|", flush=True)
    for row in rows:
        unsafe = [not text.safe for text in row.texts]
        for name, judge in judges.items():
            scores, refused = judge(row.texts)
            found = measure(scores, unsafe, refused)
            alarms = [told for told, bad in zip(refused, unsafe, strict=True) if not bad]
            share = sum(alarms) / max(1, len(alarms))
            macro = macro_f1(refused, unsafe)
            best = _best_macro_f1(scores, unsafe)
            numbers = (best, macro, found.auc, found.precision, found.recall, share)
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


def _print_kinds(texts: Sequence[Labelled], judges: dict[str, Judge]) -> None:
    """Print what share of this project's lines is refused, by the room of their family."""
    kinds: dict[str, list[Labelled]] = {}
    for text in texts:
        kinds.setdefault(f"{text.family.split('/')[0]}, {text.side}", []).append(text)
    print(f"\n| refused of | unsafe | safe | {' | '.join(judges)} |")
    print(f"|---|---:|---:|{'---:|' * len(judges)}", flush=True)
    for kind, lines in sorted(kinds.items()):
        cells = []
        for judge in judges.values():
            _, refused = judge(lines)
            told = [
                sum(r for r, line in zip(refused, lines, strict=True) if line.safe is safe)
                for safe in (False, True)
            ]
            cells.append(f"{told[0]} + {told[1]}")
        unsafe = sum(not line.safe for line in lines)
        print(f"| {kind} | {unsafe} | {len(lines) - unsafe} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
