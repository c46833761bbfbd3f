"""A projector that was aligned points at the words that captions use of a picture."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from openmmb.config import parse
from openmmb.data.example import Example
from openmmb.errors import ConfigError, DataError
from openmmb.model.fusion import ImageProjector
from openmmb.model.seq2seq import Seq2Seq
from openmmb.training.replies.align import AlignConfig, align, read_words
from openmmb.training.train import train
from tests.build import TINY_F, TINY_I, tiny_config, tiny_features, tiny_model, tiny_tokenizer
from tests.training.build import PICTURES, tiny_recipe

ANIMALS = ("dog", "cat", "horse")
SETTINGS = AlignConfig(steps=200, lr=1e-2)


def caption(animal: str, number: int) -> Example:
    return Example(
        context=(),
        reply=f"A {animal} is here.",
        references=(f"One {animal}, outside.",),
        task="captions",
        conversation=f"{animal}-{number}",
        image_id=f"{animal}-{number}",
    )


CAPTIONS = [caption(animal, number) for animal in ANIMALS for number in range(8)]


def vectors(image_id: str) -> Tensor:
    """Let each animal have a feature of its own, under noise."""
    animal, number = image_id.split("-")
    noise = torch.rand(TINY_I, TINY_F, generator=torch.Generator().manual_seed(int(number)))
    noise[:, ANIMALS.index(animal)] += 2
    return noise


def first_token(word: str) -> int:
    return tiny_tokenizer().encode(f" {word}")[0]


def projected(model: Seq2Seq, image_id: str) -> Tensor:
    projector = next(m for m in model.modules() if isinstance(m, ImageProjector))
    with torch.no_grad():
        states: Tensor = projector(vectors(image_id)[None])[0]
    return states


def test_every_vector_of_a_picture_points_at_its_word() -> None:
    tokens = [first_token(animal) for animal in ANIMALS]
    assert len(set(tokens)) == len(ANIMALS)
    model = tiny_model()
    align(model, CAPTIONS, vectors, tiny_tokenizer(), SETTINGS, seed=1)
    words = model.embeddings.weight.detach()[tokens]
    for index, animal in enumerate(ANIMALS):
        scores = projected(model, f"{animal}-77") @ words.T  # a picture that was not learnt
        assert scores.argmax(1).tolist() == [index] * TINY_I


def test_projected_vectors_are_as_long_as_word_vectors() -> None:
    model = tiny_model()
    align(model, CAPTIONS, vectors, tiny_tokenizer(), SETTINGS, seed=1)
    words = read_words(CAPTIONS, vectors, tiny_tokenizer(), 3)
    length = model.embeddings.weight[words.token_ids].norm(dim=1).mean().item()
    means = [projected(model, example.image_id or "").mean(0).norm() for example in CAPTIONS]
    assert torch.stack(means).mean().item() == pytest.approx(length, rel=1e-4)


def test_nothing_but_the_projector_changes_and_the_same_seed_gives_the_same() -> None:
    before, after, again = (tiny_model() for _ in range(3))
    for model in (after, again):
        align(model, CAPTIONS, vectors, tiny_tokenizer(), SETTINGS, seed=1)
    changed = {
        name
        for name, weight in after.state_dict().items()
        if not torch.equal(weight, before.state_dict()[name])
    }
    assert changed == {
        "encoder.image_projector.layers.0.weight",
        "encoder.image_projector.layers.0.bias",
    }
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, after.state_dict()[name])


def test_words_are_read_from_captions_alone() -> None:
    told = replace(CAPTIONS[0], context=("What is it?",), reply="zebra zebra zebra")
    styled = replace(CAPTIONS[0], style="Happy", reply="wonderful")
    unseen = replace(CAPTIONS[0], image_id=None)
    words = read_words([*CAPTIONS, told, styled, unseen], vectors, tiny_tokenizer(), 3)
    assert words.means.shape == (len(CAPTIONS), TINY_F)
    torch.testing.assert_close(words.shares.sum(1), torch.ones(len(CAPTIONS)))
    assert words.token_ids.tolist() == sorted(
        {first_token(word) for word in (*ANIMALS, "a", "is", "here", "one", "outside")}
    )
    torch.testing.assert_close(words.means[0], vectors("dog-0").mean(0))


def test_captions_are_needed() -> None:
    with pytest.raises(DataError, match="no word is in the captions of 3 pictures"):
        read_words(CAPTIONS[:2], vectors, tiny_tokenizer(), 3)


def test_a_projector_of_two_layers_is_refused() -> None:
    model = tiny_model(tiny_config(image_layers=2))
    with pytest.raises(ConfigError, match="expected a network whose picture projector is one"):
        align(model, CAPTIONS, vectors, tiny_tokenizer(), SETTINGS, seed=1)


def test_a_run_begins_with_the_aligned_projector(tmp_path: Path) -> None:
    features = tiny_features(tmp_path / "features")
    plain = tiny_recipe(
        tmp_path, tasks=PICTURES, features=features, max_steps=2, save_every_steps=2
    )
    plain = replace(plain, save_precision="fp32")
    settings = AlignConfig(steps=50, min_pictures=1)
    aligned = replace(plain, out=str(tmp_path / "aligned"), align=settings)
    name = "encoder.image_projector.layers.0.weight"
    ends = [
        load_file(result.folder / "state-00000002" / "state.safetensors")[f"model.{name}"]
        for result in (train(plain), train(aligned))
    ]
    moved = (ends[0] - ends[1]).abs().mean().item()
    assert moved > 20 * 2 * plain.optim.lr * 0.1  # more than two updates could


def test_a_run_without_pictures_has_nothing_to_align(tmp_path: Path) -> None:
    recipe = replace(tiny_recipe(tmp_path, max_steps=2), align=AlignConfig(steps=5))
    with pytest.raises(DataError, match=r"^align\.steps: no task has pictures"):
        train(recipe)


@pytest.mark.parametrize(
    ("key", "value"),
    [("steps", -1), ("batch_size", 0), ("lr", 0.0), ("weight_decay", -0.1), ("min_pictures", 0)],
)
def test_settings_are_refused_by_name(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{key} must be"):
        parse(AlignConfig, {key: value}, source="recipe")
