"""What the training of a classifier starts from: a vocabulary, and weights that read already.

Sizes: D width.
"""

import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from openmmb.checkpoint import CONFIG, load_checkpoint
from openmmb.data.draw import take_evenly
from openmmb.errors import ConfigError
from openmmb.hub import find_here
from openmmb.model.classifier import Classifier, ClassifierShape
from openmmb.model.network import TrainableNetwork
from openmmb.pretrained.bert import ENCODERS, find_encoder, read_encoder_words, take_bert
from openmmb.safety.reading import Vocabulary, clean
from openmmb.safety.trained import TrainedClassifier, load_classifier
from openmmb.tasks.labelled import LABELS
from openmmb.text.tokenizer import Tokenizer, train_tokenizer
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.classifier.texts import Source
from openmmb.training.start import build_where_needed, find_given_start, learn_once

VOCABULARY_TEXTS = 30_000
"""Most texts of each source that the vocabulary is learnt from."""


def learn_words(recipe: ClassifierRecipe, sources: Sequence[Source]) -> Vocabulary:
    """Learn the vocabulary, once a run, or take that of a published encoder or a classifier.

    Raises:
        CheckpointError: The kept vocabulary is damaged, or what is started from cannot be read.
    """
    if recipe.start in ENCODERS:
        return read_encoder_words(recipe.start)
    begun = find_begun(recipe.start)
    if begun is not None:
        return begun.tokenizer
    return learn_once(
        Path(recipe.out), lambda: train_tokenizer(_words(sources), vocab_size=recipe.vocab_size)
    )


def find_begun(start: str | None) -> TrainedClassifier | None:
    """Return the classifier that a run trains on; None: it starts from something else.

    Raises:
        CheckpointError: The classifier is damaged.
    """
    config = find_here(start) / CONFIG if start is not None else None
    if config is None or not config.is_file():
        return None
    try:
        settings = tomllib.loads(config.read_text(encoding="utf-8"))
    except ValueError:  # whoever reads it as a checkpoint says what is wrong
        return None
    return load_classifier(config.parent) if "labels" in settings else None


def build_classifier(
    recipe: ClassifierRecipe, shape: ClassifierShape, tokenizer: Vocabulary
) -> Classifier:
    """Build the network of a run, with weights only where they count.

    Raises:
        CheckpointError: ``recipe.start`` is neither a published encoder nor a checkpoint.
        ConfigError: Its encoder, or the classifier that it is, does not fit this one.
    """

    def fill() -> Classifier:
        torch.manual_seed(recipe.seed)
        model = Classifier(shape)
        model.initialise()
        if recipe.start in ENCODERS:
            take_bert(model, find_encoder(recipe.start))
        elif (begun := find_begun(recipe.start)) is not None:
            take_classifier(model, begun, str(recipe.start))
        elif recipe.start is not None and isinstance(tokenizer, Tokenizer):
            start = load_checkpoint(find_given_start(recipe.start, recipe.start_command))
            take_encoder(model, tokenizer, start.model, start.tokenizer, recipe.start)
        return model

    def empty() -> Classifier:
        return Classifier(shape)

    model = build_where_needed(Path(recipe.out), empty, fill)
    model.embeddings.weight.requires_grad_(not recipe.freeze_embeddings)
    return model


def take_classifier(model: Classifier, begun: TrainedClassifier, name: str) -> None:
    """Take over all weights of a classifier of the same labels and shape.

    Raises:
        ConfigError: Its labels or its shape are others.
    """
    labels = begun.config.labels
    if labels != LABELS:
        raise ConfigError(f"start: {name} knows {', '.join(labels)}; expected {', '.join(LABELS)}")
    given = begun.model.state_dict()
    for key, weight in model.state_dict().items():
        if key not in given or given[key].shape != weight.shape:
            other = str(tuple(given[key].shape)) if key in given else "no such weight"
            raise ConfigError(f"shape: {key} is {tuple(weight.shape)}, but {name} has {other}")
    model.load_state_dict(given)


def take_encoder(
    model: Classifier, tokenizer: Tokenizer, start: TrainableNetwork, known: Tokenizer, name: str
) -> None:
    """Take over the encoder of a model that talks, and its vectors of words.

    A token that its vocabulary lacks gets the mean of those that spell it there, if any do.

    Args:
        model: Gets the first layers and positions, as many as it has.
        tokenizer: Vocabulary of ``model``.
        start: The model that talks.
        known: Vocabulary of ``start``.
        name: What the recipe calls ``start``.

    Raises:
        ConfigError: The encoders do not fit each other.
    """
    given, wanted = start.state_dict(), model.state_dict()
    with torch.no_grad():
        for key, weight in wanted.items():
            if not key.startswith("encoder."):
                continue
            source = given.get(key)
            if source is None or source.shape[1:] != weight.shape[1:] or len(source) < len(weight):
                other = "no such weight" if source is None else str(tuple(source.shape))
                raise ConfigError(f"shape: {key} is {tuple(weight.shape)}, but {name} has {other}")
            weight.copy_(source[: len(weight)])
        known_ids = _ids(known)
        for token, token_id in _ids(tokenizer).items():
            same = known_ids.get(token)
            spelled = known.encode(tokenizer.decode([token_id])) if same is None else [same]
            if spelled:
                wanted["embeddings.weight"][token_id] = given["embeddings.weight"][spelled].mean(0)


def _ids(tokenizer: Tokenizer) -> dict[str, int]:
    """Return the id of every token that has a row, as it is spelled in the vocabulary."""
    vocabulary: dict[str, int] = json.loads(tokenizer.to_json())["model"]["vocab"]
    return {token: at for token, at in vocabulary.items() if at < tokenizer.vocab_size}


def _words(sources: Sequence[Source]) -> Iterator[str]:
    for source in sources:
        for text in take_evenly(source.train, VOCABULARY_TEXTS):
            yield from map(clean, (text.text, *text.context[-1:]))
