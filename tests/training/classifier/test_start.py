"""A classifier begins with what a model that talks knows, or goes on from another classifier."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from openmmb.checkpoint import new_network, save_checkpoint
from openmmb.errors import ConfigError
from openmmb.model.classifier import Classifier
from openmmb.safety.trained import load_classifier
from openmmb.tasks.labelled import LABELS
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.classifier.prepare import prepare_verdicts
from openmmb.training.classifier.start import take_classifier
from openmmb.training.train import train
from tests.build import tiny_checkpoint
from tests.training.classifier.build import tiny_classifier_recipe


def _prepared(recipe: ClassifierRecipe) -> ClassifierRecipe:
    Path(recipe.out).mkdir(exist_ok=True)
    return recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("start")


def test_it_can_begin_with_the_encoder_of_a_model_that_talks(folder: Path) -> None:
    checkpoint = tiny_checkpoint()
    shape = replace(checkpoint.config.seq2seq, learned_positions=True, variant="prelayernorm")
    config = replace(checkpoint.config, model=shape)
    talking = new_network(shape)
    talking.initialise()
    save_checkpoint(
        replace(checkpoint, config=config, model=talking), folder / "talks", precision="fp32"
    )
    recipe = _prepared(tiny_classifier_recipe(folder, out="begun", start=str(folder / "talks")))
    verdicts = prepare_verdicts(recipe)
    given, taken = talking.state_dict(), verdicts.build().state_dict()
    assert taken["encoder.layers.0.ffn.widen.weight"].equal(
        given["encoder.layers.0.ffn.widen.weight"]
    )
    assert taken["encoder.positions.weight"].equal(given["encoder.positions.weight"][:48])
    spelled = checkpoint.tokenizer.encode("dog")
    token = verdicts.loader.tokenizer.encode("dog")
    if len(token) == 1:
        expected = given["embeddings.weight"][spelled].mean(0)
        torch.testing.assert_close(taken["embeddings.weight"][token[0]], expected)
    wide = replace(recipe, shape=replace(recipe.shape, embed_dim=32))
    with pytest.raises(ConfigError, match=r"shape: encoder\..* is \(48, 32\), but .*talks has \("):
        prepare_verdicts(wide).build()


def test_the_vocabulary_is_learnt_once_a_run(folder: Path) -> None:
    recipe = _prepared(tiny_classifier_recipe(folder, out="words"))
    made = prepare_verdicts(recipe).loader.tokenizer
    assert (folder / "words" / "tokenizer.json").exists()
    again = prepare_verdicts(replace(recipe, vocab_size=300)).loader.tokenizer
    assert again.to_json() == made.to_json()
    assert made.vocab_size == recipe.vocab_size


def test_it_can_go_on_from_a_classifier(folder: Path) -> None:
    first = train(tiny_classifier_recipe(folder, out="first", max_steps=2)).checkpoint
    assert first is not None
    recipe = _prepared(tiny_classifier_recipe(folder, out="second", start=str(first)))
    verdicts = prepare_verdicts(recipe)
    begun = load_classifier(first)
    given, taken = begun.model.state_dict(), verdicts.build().state_dict()
    assert all(taken[name].equal(given[name]) for name in given)
    assert verdicts.loader.tokenizer.vocab_size == begun.tokenizer.vocab_size
    narrow = replace(recipe, shape=replace(recipe.shape, ffn_dim=16))
    with pytest.raises(ConfigError, match=r"shape: encoder\..* is \(16, 16\), but .* has \(32"):
        prepare_verdicts(narrow).build()


def test_a_classifier_of_other_labels_is_no_start(folder: Path) -> None:
    first = train(tiny_classifier_recipe(folder, out="other", max_steps=2)).checkpoint
    assert first is not None
    begun = load_classifier(first)
    config = replace(begun.config, labels=tuple(reversed(LABELS)))
    model = Classifier(begun.config.shape)
    with pytest.raises(ConfigError, match=r"start: tiny knows biased_opinion, .*; expected insult"):
        take_classifier(model, replace(begun, config=config), "tiny")
