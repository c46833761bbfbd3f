"""A classifier begins with what a model that talks knows, and keeps its own vocabulary."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from openmmb.checkpoint import new_network, save_checkpoint
from openmmb.errors import ConfigError
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.classifier.prepare import prepare_verdicts
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
