"""How to decode: ``python benchmarks/decoding.py CHECKPOINT RECIPE --tasks convai2 ...``.

Lets a model reply to held-out examples with several searches, and prints what each gives: words in
common with people's replies (F1), variety, how many replies speak of the persona, length, seconds a
reply. With ``--out`` the replies themselves are written side by side, to be read blind.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

from openmmb.checkpoint import find_checkpoint, load_checkpoint
from openmmb.data.draw import take_evenly
from openmmb.engine.open import open_engine
from openmmb.errors import OpenMMBError
from openmmb.eval.replies import Measures, Setting, measure_replies
from openmmb.eval.saved import SavedReplies
from openmmb.search.config import SearchConfig
from openmmb.tasks.mixture import TaskConfig, read_valid
from openmmb.training.replies.config import Recipe
from openmmb.training.train import read_recipe

PLAIN = SearchConfig(beam_size=3, min_length=0, max_length=80)
SEARCHES = {
    "beam 3": PLAIN,
    "beam 3, 10 tokens or more": replace(PLAIN, min_length=10),
    "beam 10": replace(PLAIN, beam_size=10),
    "beam 10, 20 tokens or more": replace(PLAIN, beam_size=10, min_length=20),
    "nucleus 0.9, temperature 0.7": replace(PLAIN, method="nucleus", temperature=0.7, beam_size=1),
    "beam 6, prior 0.3": replace(PLAIN, beam_size=6, prior_weight=0.3),
    "beam 6, prior 0.5": replace(PLAIN, beam_size=6, prior_weight=0.5),
    "delayed beam 3": replace(PLAIN, method="delayed_beam", beam_delay=4),
}
"""All block what was said before in three words, as MMB does; ``prior`` is the weight of what a
reply is worth where nothing was said (``engine/rerank.py``)."""


def examples_of(recipe: Recipe, name: str, root: Path, count: int):  # type: ignore[no-untyped-def]
    """Read held-out examples of one task of a recipe, evenly taken."""
    config = next((task for task in recipe.tasks if task.name == name), TaskConfig(name=name))
    return take_evenly(list(read_valid(config, root)), count)


def main() -> None:
    """Read the flags, reply, measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("recipe")
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--tasks", nargs="+", default=["convai2"])
    parser.add_argument("--examples", type=int, default=60, help="of each task")
    parser.add_argument("--searches", nargs="*", help="beginnings of names; all by default")
    parser.add_argument("--out", type=Path, help="JSON lines to write")
    args = parser.parse_args()
    recipe = read_recipe(args.recipe)
    assert isinstance(recipe, Recipe)
    checkpoint = load_checkpoint(find_checkpoint(args.checkpoint))
    setting = Setting("reply", checkpoint.config.gender)
    for name in args.tasks:
        examples = examples_of(recipe, name, args.root, args.examples)
        for title, search in SEARCHES.items():
            if args.searches and not title.startswith(tuple(args.searches)):
                continue
            config = replace(checkpoint.config, search=search)
            engine = open_engine(replace(checkpoint, config=config), device="cpu")
            saved = None
            if args.out is not None:
                path = args.out.with_name(f"{args.out.stem}-{name.replace('/', '-')}-{title}.jsonl")
                saved = SavedReplies(path, title)
            began = time.perf_counter()
            report = measure_replies(
                engine, examples, None, setting, Measures(checks=()), saved=saved, batch_size=15
            )
            seconds = (time.perf_counter() - began) / len(examples)
            numbers = {
                "task": name,
                "search": title,
                "F1": round(100 * report.f1, 2),
                "distinct-2": round(report.distinct_2, 3),
                "20 commonest": round(100 * report.commonest, 1),
                "of the persona": None if report.persona is None else round(100 * report.persona),
                "words": round(report.words, 1),
                "seconds": round(seconds, 2),
            }
            print(json.dumps(numbers), flush=True)


if __name__ == "__main__":
    try:
        main()
    except OpenMMBError as error:
        raise SystemExit(f"decoding.py: {error}") from None
