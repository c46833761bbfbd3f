"""Every data set is described, and can be had in a way that is said."""

import pytest

from openmmb.tasks import TASKS
from openmmb.tasks.catalogue import ABOUT, completeness
from openmmb.tasks.download.sources import PHOTOS, SOURCES

MIXTURE = (
    "blended_skill_talk",
    "convai2",
    "empathetic_dialogues",
    "wizard_of_wikipedia",
    "image_chat",
)
"""What Multi-Modal BlenderBot was fine-tuned on."""


def test_what_there_is_is_described() -> None:
    assert set(ABOUT) == set(TASKS) | {"gender_words"}
    assert set(PHOTOS) <= set(SOURCES) <= set(ABOUT)
    assert list(ABOUT) == sorted(ABOUT)


@pytest.mark.parametrize("name", sorted(ABOUT))
def test_how_to_get_it_is_said(name: str) -> None:
    assert (name in SOURCES) == (ABOUT[name].otherwise is None)


def test_an_epoch_of_the_published_mixture_has_the_published_size() -> None:
    sizes = [ABOUT[name].published["train"] for name in MIXTURE]
    assert sum(sizes) == 653_046
    assert [round(1000 * size / sum(sizes)) for size in sizes] == [41, 201, 99, 113, 545]


@pytest.mark.parametrize(
    ("found", "published", "said"),
    [
        (131_438, 131_438, "complete (131,438 examples as published)"),
        (7_000, 7_801, "7,000 of 7,801 examples as published"),
        (1_091, 1_000, "1,091 examples, where 1,000 were published"),
        (1_091, None, "1,091 examples"),
    ],
)
def test_whether_it_is_all_is_said(found: int, published: int | None, said: str) -> None:
    assert completeness(found, published) == said
