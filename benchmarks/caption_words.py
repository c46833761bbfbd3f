"""Learn which words people use of a picture: ``python benchmarks/caption_words.py RECIPE ...``.

A picture encoder's own classes are a thousand animals and tools; people speak of kitchens, skiers
and red shirts. This fits a word detector on the mean vector of a picture to the captions among what
a recipe learns from, and writes it beside the encoder (``--out``). With ``--features`` it also
writes the folder again with the words of both (``--features-out``), and gives every picture that
has captions the words of a detector that has not seen it: otherwise a model would learn to trust
them more than it may.
"""

import argparse
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from openmmb.data.draw import uniform
from openmmb.errors import OpenMMBError
from openmmb.eval.persona import function_words
from openmmb.tasks.mixture import read_train, read_valid
from openmmb.text.gender import bundled_gender_words
from openmmb.training.replies.config import Recipe
from openmmb.training.train import read_recipe
from openmmb.vision.efficientnet import load_object_head
from openmmb.vision.features.locations import open_location
from openmmb.vision.features.manifest import claim
from openmmb.vision.features.shards import Catalogue, new_shard, write_state
from openmmb.vision.features.vectors import Features
from openmmb.vision.object_words import ObjectHead, merge

MIN_PICTURES = 10
"""A word is learnt when the captions of so many pictures have it."""
FOLDS = 5
STEPS, BATCH, LR = 400, 128, 1e-3
SAYS_NOTHING = frozenset(
    """
    above across against along background behind beside couple during five four front full group
    half hold holding holds look looking looks lots near next onto photo picture plain set several
    side someone somebody somewhere through top while whole
    """.split()  # noqa: SIM905
)

Captions = Mapping[str, Sequence[str]]


def captions_of(recipe: Recipe, root: Path, *, valid: bool = False) -> dict[str, list[str]]:
    """Gather the captions of each picture: replies to a picture alone, in no style."""
    captions: dict[str, list[str]] = {}
    for config in recipe.tasks:
        for example in read_valid(config, root) if valid else read_train(config, root):
            if example.image_id and not example.context and example.style is None:
                texts = captions.setdefault(example.image_id, [])
                texts += (example.reply, *example.references)
    return captions


def spoken(texts: Sequence[str]) -> Counter[str]:
    """Count in how many captions of a picture each word is; no gendered ones."""
    gendered = bundled_gender_words()
    out = function_words() | SAYS_NOTHING | set(gendered.male) | set(gendered.female)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(re.findall(r"[a-z]{3,}", text.lower())) - out)
    return counts


def targets(captions: Captions, labels: Sequence[str]) -> Tensor:
    """(pictures, labels): 1 for a word of two captions or of the only one, 0.5 for one of many."""
    columns = {label: column for column, label in enumerate(labels)}
    rows = torch.zeros(len(captions), len(labels))
    for row, texts in enumerate(captions.values()):
        for word, number in spoken(texts).items():
            if word in columns:
                rows[row, columns[word]] = 1.0 if number > 1 or len(texts) == 1 else 0.5
    return rows


def fit(means: Tensor, wanted: Tensor, labels: Sequence[str], seed: int) -> ObjectHead:
    """Fit one logistic regression a word."""
    generator = torch.Generator().manual_seed(seed)
    mean, spread = means.mean(0), means.std(0) + 1e-3
    scaled = (means - mean) / spread
    weight = nn.Parameter(torch.zeros(len(labels), means.shape[1]))
    bias = nn.Parameter(torch.logit(wanted.mean(0).clamp(1e-4, 0.9)))
    optimizer = torch.optim.AdamW([weight, bias], lr=LR, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, STEPS)
    for _ in range(STEPS):
        rows = torch.randint(len(means), (BATCH,), generator=generator)
        scores = functional.linear(scaled[rows], weight, bias)
        loss = functional.binary_cross_entropy_with_logits(scores, wanted[rows], reduction="sum")
        optimizer.zero_grad()
        (loss / BATCH).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        plain = (weight / spread).half()
        return ObjectHead(plain, bias - plain.float() @ mean, labels, exclusive=False)


def measure(head: ObjectHead, means: Tensor, captions: Captions, least: float) -> str:
    """Say how many of the words that a picture is given its captions have."""
    right = total = 0
    for mean, texts in zip(means, captions.values(), strict=True):
        said = spoken(texts)
        words = [word.label for word in head.words(mean[None]) if word.probability >= least]
        total += len(words)
        right += sum(word in said for word in words)
    return f"{total / len(captions):.2f} words a picture, {100 * right / total:.1f} % in captions"


def main() -> None:
    """Read the flags, fit, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--features", type=Path, required=True, help="folder of image vectors")
    parser.add_argument("--out", type=Path, required=True, help="file to write, .safetensors")
    parser.add_argument("--features-out", type=Path, help="folder to write, with words of both")
    args = parser.parse_args()
    recipe = read_recipe(args.recipe)
    assert isinstance(recipe, Recipe)
    features = Features(args.features)
    captions = captions_of(recipe, args.root)
    pictures = Counter(word for texts in captions.values() for word in spoken(texts))
    labels = sorted(word for word, number in pictures.items() if number >= MIN_PICTURES)
    wanted = targets(captions, labels)
    means = torch.stack([features[image_id].mean(0) for image_id in captions])
    print(f"{len(captions)} pictures with captions, {len(labels)} words", flush=True)

    whole = fit(means, wanted, labels, seed=0)
    held_out = captions_of(recipe, args.root, valid=True)
    unseen = torch.stack([features[image_id].mean(0) for image_id in held_out])
    for least in (0.2, 0.3, 0.4):
        print(f"at {least}, held out: {measure(whole, unseen, held_out, least)}")
    save_file({"weight": whole.weight.half(), "bias": whole.bias}, args.out)
    args.out.with_suffix(".txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
    if args.features_out is None:
        return
    fold_of = {image_id: int(FOLDS * uniform("fold", image_id)) for image_id in captions}
    folds = torch.tensor(list(fold_of.values()))
    heads = [
        fit(means[folds != fold], wanted[folds != fold], labels, seed=1 + fold)
        for fold in range(FOLDS)
    ]
    own = load_object_head()
    folder = open_location(args.features_out)
    manifest = claim(folder, features.manifest)
    ids = list(features)
    for start in range(0, len(ids), 1000):
        with new_shard(folder, manifest, Catalogue(folder)) as shard:
            for image_id in ids[start : start + 1000]:
                vectors = features[image_id]
                head = heads[fold_of[image_id]] if image_id in fold_of else whole
                words = merge(own.words(vectors), head.words(vectors))
                shard.add([image_id], vectors[None], [words])
    write_state(folder)


if __name__ == "__main__":
    try:
        main()
    except OpenMMBError as error:
        raise SystemExit(f"caption_words.py: {error}") from None
