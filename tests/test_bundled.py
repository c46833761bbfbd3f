"""The models that come along are what their cards and the commands say of them."""

import inspect
from pathlib import Path

import pytest

import openmmb
from openmmb import Bot, Conversation
from openmmb.checkpoint import find_checkpoint, open_checkpoint
from openmmb.cli.flags import DEFAULT_CHECKPOINT
from openmmb.model.causal_config import CausalConfig
from openmmb.model.config import ModelConfig
from openmmb.text.gender import bundled_gender_words, gender_token
from tests.build import tiny_image


@pytest.fixture(scope="module")
def small() -> Bot:
    return openmmb.load("small")


def test_small_is_what_everybody_meets() -> None:
    assert Path("small") == DEFAULT_CHECKPOINT
    assert inspect.signature(openmmb.load).parameters["checkpoint"].default == "small"


@pytest.mark.parametrize(("name", "most"), [("small", 40e6), ("tiny", 40e6)])
def test_each_has_a_card_and_is_no_larger_than_promised(name: str, most: float) -> None:
    folder = find_checkpoint(name)
    assert sum(path.stat().st_size for path in folder.iterdir()) < most
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: ")
    for heading in (
        "## What it is for, and what it is not",
        "## Data",
        "## Training",
        "## Numbers",
    ):
        assert f"\n{heading}\n" in card


def test_small_is_adapters_over_a_base_and_tiny_is_a_network_of_its_own() -> None:
    small, tiny = (open_checkpoint(find_checkpoint(name)).config for name in ("small", "tiny"))
    assert isinstance(small.model, CausalConfig)
    assert (small.base, small.adapter is not None) == ("smollm2-135m-instruct", True)
    assert isinstance(tiny.model, ModelConfig)
    assert (tiny.base, tiny.adapter) == (None, None)
    for config in (small, tiny):
        assert (config.gender, config.image_style) == ("f0m0", "positive/neutral")
        assert config.encoder == "efficientnet_lite0"


TOLD = [
    ("I have a parrot called Kiwi.", "I like mornings.", "What is my parrot called?", "Kiwi"),
    ("I live in Lisbon.", "The trams here are old.", "Which city do I live in?", "Lisbon"),
    ("My exam is on Thursday.", "I've been studying chemistry.", "When is my exam?", "Thursday"),
    ("I'm allergic to peanuts.", "I like to cook.", "What am I allergic to?", "eanut"),
]


def test_small_remembers_most_of_what_it_was_told(small: Bot) -> None:
    remembered = 0
    for fact, remark, question, answer in TOLD:
        conversation = small.reply(fact).conversation
        conversation = small.reply(remark, conversation=conversation).conversation
        remembered += answer in small.reply(question, conversation=conversation).text
    assert remembered >= len(TOLD) - 1


def test_small_is_sorry_and_not_glad_about_a_loss(small: Bot) -> None:
    reply = small.reply("I lost my job yesterday.").text.lower()
    assert "sorry" in reply or "oh no" in reply
    assert "good for you" not in reply


def test_small_speaks_of_a_picture_without_gendered_words(small: Bot) -> None:
    opening = small.reply("", conversation=small.look(tiny_image())).text
    assert opening
    assert gender_token(opening, bundled_gender_words()) == "f0m0"


def test_small_says_the_same_every_time(small: Bot) -> None:
    conversation = Conversation(persona=("I keep bees.",))
    first, again = (small.reply("What do you do?", conversation=conversation) for _ in range(2))
    assert first.text == again.text
