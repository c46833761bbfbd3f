"""What the training of a classifier starts from: a vocabulary, and weights that read already.

Sizes: D width.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from openmmb.data.draw import take_evenly
from openmmb.errors import ConfigError
from openmmb.model.classifier import Classifier
from openmmb.model.network import TrainableNetwork
from openmmb.safety.reading import clean
from openmmb.text.tokenizer import Tokenizer, load_tokenizer, train_tokenizer
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.classifier.texts import Source

VOCABULARY_TEXTS = 30_000
"""Most texts of each source that the vocabulary is learnt from."""


def begin_from(
    model: Classifier, tokenizer: Tokenizer, start: TrainableNetwork, known: Tokenizer, name: str
) -> None:
    """Take over the encoder of a model that talks, and its vectors of words.

    A token that its vocabulary lacks gets the mean of those that spell it there, if any do.

    Args:
        model: Gets its first layers and positions, as many as it has.
        tokenizer: Its vocabulary.
        start: The model that talks.
        known: Its vocabulary.
        name: What the recipe calls it.

    Raises:
        ConfigError: The encoders do not fit each other.
    """
    given, wanted = start.state_dict(), model.state_dict()
    with torch.no_grad():
        for key, weight in wanted.items():
            if not key.startswith("encoder."):
                continue
            found = given.get(key)
            if found is None or found.shape[1:] != weight.shape[1:] or len(found) < len(weight):
                other = "no such weight" if found is None else str(tuple(found.shape))
                raise ConfigError(f"shape: {key} is {tuple(weight.shape)}, but {name} has {other}")
            weight.copy_(found[: len(weight)])
        there = _tokens(known)
        for token, place in _tokens(tokenizer).items():
            same = there.get(token)
            spelled = known.encode(tokenizer.decode([place])) if same is None else [same]
            if spelled:
                wanted["embeddings.weight"][place] = given["embeddings.weight"][spelled].mean(0)


def _tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """Return every token that has a row, as it is spelled in the vocabulary, and its id."""
    vocabulary: dict[str, int] = json.loads(tokenizer.to_json())["model"]["vocab"]
    return {token: at for token, at in vocabulary.items() if at < tokenizer.vocab_size}


def learn_words(recipe: ClassifierRecipe, sources: Sequence[Source]) -> Tokenizer:
    """Learn a vocabulary and keep it in the run's folder, or return the one that is there.

    Raises:
        CheckpointError: The kept vocabulary is damaged.
    """
    kept = Path(recipe.out) / "tokenizer.json"
    if kept.exists():
        return load_tokenizer(kept)
    tokenizer = train_tokenizer(_words(sources), vocab_size=recipe.vocab_size)
    partial = kept.with_name(f"{kept.name}.partial")
    tokenizer.save(partial)
    partial.replace(kept)
    return tokenizer


def _words(sources: Sequence[Source]) -> Iterator[str]:
    for source in sources:
        for text in take_evenly(source.train, VOCABULARY_TEXTS):
            yield from map(clean, (text.text, *text.context[-1:]))
