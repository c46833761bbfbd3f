"""Whether a style is heard: ``python benchmarks/traits.py CHECKPOINT RECIPE --out SHEET ...``.

Lets a model open talk about held-out photographs in each of twelve traits, and writes what it says
in shuffled order, without the traits, for a reader to guess them: a number and a trait on each line
of a text file. ``--guesses FILE`` counts how many were right. Beside the reader guesses a bag of
words that has learnt the training dialogues in these traits.
"""

import argparse
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from openmmb.checkpoint import find_checkpoint, load_checkpoint
from openmmb.data.draw import take_evenly
from openmmb.data.encode import choose_objects
from openmmb.data.example import Example
from openmmb.engine.generate import generate
from openmmb.engine.open import open_engine
from openmmb.errors import OpenMMBError
from openmmb.tasks.mixture import TaskConfig, read_train, read_valid
from openmmb.training.replies.config import Recipe
from openmmb.training.train import read_recipe
from openmmb.vision.features.vectors import Features

TRAITS = (
    "Anxious",
    "Appreciative (Grateful)",
    "Arrogant",
    "Businesslike",
    "Cheerful",
    "Curious",
    "Dramatic",
    "Humble",
    "Romantic",
    "Sarcastic",
    "Skeptical",
    "Stoic (Unemotional, Matter-of-fact)",
)


def guess_by_words(learnt: Sequence[Example], texts: Sequence[str]) -> list[str]:
    """Guess the trait of each text from the words of written replies, by naive Bayes."""
    from nltk.classify import NaiveBayesClassifier

    known = [(words_of(one.reply), one.style) for one in learnt if one.style in TRAITS]
    model = NaiveBayesClassifier.train(known)
    return [model.classify(words_of(text)) for text in texts]


def words_of(text: str) -> dict[str, bool]:
    """Return the words and marks of a text."""
    return dict.fromkeys(re.findall(r"\w+|[^\w\s]", text.casefold()), True)


def read_guesses(path: Path) -> dict[int, str]:
    """Read lines of a number and a trait, or its beginning."""
    guesses = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        number, _, trait = line.strip().partition(" ")
        if number:
            names = [one for one in TRAITS if one.casefold().startswith(trait.strip().casefold())]
            if len(names) != 1:
                raise SystemExit(f"traits.py: {path}: expected one of {TRAITS}, got {trait!r}")
            guesses[int(number)] = names[0]
    return guesses


def share(guesses: Sequence[str], traits: Sequence[str]) -> str:
    """Say how many guesses are right."""
    right = sum(one == other for one, other in zip(guesses, traits, strict=True))
    return f"{right} of {len(traits)} ({100 * right / len(traits):.0f} %)"


def main() -> None:
    """Read the flags, open talk, guess."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("recipe")
    parser.add_argument("--features", type=Path, required=True, help="folder of image vectors")
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--pictures", type=int, default=10)
    parser.add_argument("--out", type=Path, help="Markdown to write, for a reader")
    parser.add_argument("--guesses", type=Path, help="what the reader guessed")
    args = parser.parse_args()
    recipe = read_recipe(args.recipe)
    assert isinstance(recipe, Recipe)
    checkpoint = load_checkpoint(find_checkpoint(args.checkpoint))
    engine, settings = open_engine(checkpoint, device="cpu"), checkpoint.config
    features = Features(args.features)
    known = {task.name: task for task in recipe.tasks}
    styled = [known.get(name, TaskConfig(name=name)) for name in ("written/styled", "image_chat")]
    held_out = list(read_valid(TaskConfig(name="flickr8k"), args.root))
    asked = [
        Example(
            task="styled",
            conversation=f"{picture.image_id}/{trait}",
            context=(),
            reply="",
            style=trait,
            image_id=picture.image_id,
            gender=settings.gender,
            objects=choose_objects(features.words(str(picture.image_id)), settings.encode),
        )
        for picture in take_evenly(held_out, args.pictures)
        for trait in TRAITS
    ]
    random.Random(0).shuffle(asked)
    texts: list[str] = []
    for start in range(0, len(asked), 12):
        rows = asked[start : start + 12]
        vectors = [features[str(one.image_id)] for one in rows]
        texts += [best[0].text for best in generate(engine, rows, vectors, settings.search)]
    traits = [str(one.style) for one in asked]
    learnt = [one for task in styled for one in read_train(replace(task, packed=False), args.root)]
    print(f"a bag of words guesses {share(guess_by_words(learnt, texts), traits)}")
    if args.out is not None:
        lines = [f"{number} {text}" for number, text in enumerate(texts, start=1)]
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if args.guesses is not None:
        guesses = read_guesses(args.guesses)
        numbers = sorted(guesses)
        right = share([guesses[n] for n in numbers], [traits[n - 1] for n in numbers])
        print(f"the reader guesses {right}")


if __name__ == "__main__":
    try:
        main()
    except OpenMMBError as error:
        raise SystemExit(f"traits.py: {error}") from None
