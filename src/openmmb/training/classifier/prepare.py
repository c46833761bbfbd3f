"""What a classifier's run needs before its first update: texts, vocabulary, the network's shape."""

from dataclasses import replace
from pathlib import Path

from openmmb.data.sampler import Sampler
from openmmb.errors import ConfigError
from openmmb.safety.trained import ClassifierConfig
from openmmb.tasks.labelled import LABELS, SORROW
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.classifier.loader import TextLoader
from openmmb.training.classifier.objective import UNSAFE, Verdicts
from openmmb.training.classifier.start import learn_words
from openmmb.training.classifier.texts import (
    read_conversation,
    read_listed,
    read_neutral,
    read_source,
    read_unkind,
)


def prepare_verdicts(recipe: ClassifierRecipe) -> Verdicts:
    """Read the data and learn the vocabulary.

    Raises:
        ConfigError: The recipe's parts do not fit each other.
        DataError: A data set is missing or malformed.
    """
    root, share = Path(recipe.root), recipe.calibrate
    talk = [read_conversation(task, root, calibrate=share) for task in recipe.conversations]
    sources = (
        *(read_source(one.name, one.weight, root, calibrate=share) for one in recipe.labelled),
        *(read_unkind(task, root, calibrate=share) for task in recipe.unkind),
        *talk,
        read_neutral(recipe.neutral_weight),
        read_listed(recipe.listed_weight, talk[0].train),
    )
    tokenizer = learn_words(recipe, sources)
    shape = replace(recipe.shape, num_labels=len(LABELS), vocab_size=tokenizer.vocab_size)
    try:
        settings = ClassifierConfig(
            name=recipe.name,
            labels=LABELS,
            unsafe=UNSAFE,
            exclusive=False,
            sorrow=SORROW,
            shape=shape,
            read=recipe.read,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    sampler = Sampler(
        examples=tuple(source.train for source in sources),
        weights=tuple(source.weight for source in sources),
        batch_size=recipe.batch_size,
        seed=recipe.seed,
    )
    loader = TextLoader(sources, sampler, tokenizer, recipe.read, recipe.noise)
    return Verdicts(recipe, settings, loader)
