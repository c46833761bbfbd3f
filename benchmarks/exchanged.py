"""What replies owe to the picture: ``python benchmarks/exchanged.py CHECKPOINT RECIPE ...``.

Perplexity of people's replies about held-out photographs, with each picture in its place and with
every picture exchanged for the next one's, its vectors and the words for it. A model that looks at
pictures must do worse.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from openmmb.checkpoint import find_checkpoint, load_checkpoint
from openmmb.data.controls import plain_controls
from openmmb.data.draw import take_evenly
from openmmb.data.example import Example
from openmmb.engine.open import open_engine
from openmmb.errors import OpenMMBError
from openmmb.eval.measure import measure_tasks
from openmmb.tasks.mixture import FeatureFolders, TaskConfig, open_batches, read_valid
from openmmb.training.replies.config import Recipe
from openmmb.training.train import read_recipe


def exchange(examples: Sequence[Example]) -> list[Example]:
    """Give each example the picture of the next one that has another."""
    ids = list(dict.fromkeys(example.image_id for example in examples))
    other = dict(zip(ids, [*ids[1:], ids[0]], strict=True))
    return [replace(example, image_id=other[example.image_id]) for example in examples]


def main() -> None:
    """Read the flags, measure twice, print a line a task."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("recipe")
    parser.add_argument("--features", type=Path, required=True, help="folder of image vectors")
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--tasks", nargs="+", default=["image_chat", "flickr8k"])
    parser.add_argument("--examples", type=int, default=150, help="of each task")
    args = parser.parse_args()
    recipe = read_recipe(args.recipe)
    assert isinstance(recipe, Recipe)
    checkpoint = load_checkpoint(find_checkpoint(args.checkpoint))
    settings = checkpoint.config
    engine = open_engine(checkpoint, device="cpu")
    known = {task.name: task for task in recipe.tasks}
    for name in args.tasks:
        held_out = list(read_valid(known.get(name, TaskConfig(name=name)), args.root))
        examples = take_evenly([one for one in held_out if one.image_id], args.examples)
        batcher = open_batches(
            examples,
            root=args.root,
            tokenizer=checkpoint.tokenizer,
            encode=settings.encode,
            controls=plain_controls(gender=settings.gender is not None),
            seed=0,
            features=FeatureFolders(
                encoder=settings.encoder,
                image_shape=(settings.model.image_vectors, settings.model.image_dim),
                plain=str(args.features),
            ),
        )
        tasks = {"own": examples, "exchanged": exchange(examples)}
        own, exchanged = (one.perplexity for one in measure_tasks(engine, tasks, batcher))
        rise = 100 * (exchanged / own - 1)
        print(
            f"{name:20} perplexity {own:.2f}  exchanged {exchanged:.2f}  {rise:+.0f} %", flush=True
        )


if __name__ == "__main__":
    try:
        main()
    except OpenMMBError as error:
        raise SystemExit(f"exchanged.py: {error}") from None
