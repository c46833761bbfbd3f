"""The best constant reply: ``python benchmarks/constant.py RECIPE [--root DIR]``.

For each data set of a recipe: which single reply, chosen on what the recipe learns from, has most
words in common with what people answer, and its F1 on what is held out. Beside it the variety of
what people say, and how many of their replies, and of replies drawn at random, speak of the
persona. A model should be above the constant, and come near to people.
"""

import argparse
import random
from pathlib import Path

from openmmb.data.draw import take_evenly
from openmmb.errors import OpenMMBError
from openmmb.eval.metrics import f1
from openmmb.eval.persona import speaks_of
from openmmb.eval.variety import best_constant, commonest_share, distinct_2
from openmmb.tasks.mixture import read_task
from openmmb.training.replies.config import Recipe
from openmmb.training.train import read_recipe

KNOWN, COMPARED = 1000, 1000
"""Replies to choose from and to compare with, taken evenly from what is learnt from."""


def main() -> None:
    """Read the flags, choose, print a line a data set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--tasks", nargs="*", help="only these")
    args = parser.parse_args()
    recipe = read_recipe(args.recipe)
    if not isinstance(recipe, Recipe):
        raise SystemExit(f"constant.py: {args.recipe} trains no model that talks")
    for config in recipe.tasks:
        if args.tasks and config.name not in args.tasks:
            continue
        task = read_task(config, args.root)
        learnt = [example.reply for example in task.train]
        reply = best_constant(take_evenly(learnt, KNOWN), take_evenly(learnt[1:], COMPARED))
        people = [example.reply for example in task.valid]
        score = sum(
            f1(reply, [one, *e.references]) for one, e in zip(people, task.valid, strict=True)
        )
        line = f"{config.name:24} F1 {100 * score / len(people):5.2f}  {reply!r}"
        line += f"  people: distinct-2 {distinct_2(people):.3f}"
        line += f", 20 commonest {100 * commonest_share(people):.1f} %"
        if any(example.persona for example in task.valid):
            drawn = random.Random(0).sample(people, len(people))
            shares = [
                sum(speaks_of(one, e.persona) for one, e in zip(said, task.valid, strict=True))
                for said in (people, drawn)
            ]
            own, chance = (100 * share / len(people) for share in shares)
            line += f", of the persona {own:.1f} % (by chance {chance:.1f})"
        print(line, flush=True)


if __name__ == "__main__":
    try:
        main()
    except OpenMMBError as error:
        raise SystemExit(f"constant.py: {error}") from None
