"""A picture's words are its likeliest classes, by the names that people have for them."""

from pathlib import Path

import pytest
import torch

from openmmb.errors import CheckpointError
from openmmb.vision.object_words import (
    IMAGENET,
    NUM_WORDS,
    ObjectHead,
    ObjectWord,
    merge,
    read_labels,
)

LABELS = ["cat", "dog", "cat", "cow", "ant", "bee", "owl"]


def head() -> ObjectHead:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(7, 3, generator=generator)
    return ObjectHead(weight, torch.randn(7, generator=generator), LABELS)


def test_words_are_the_likeliest_classes_of_the_mean_vector() -> None:
    generator = torch.Generator().manual_seed(0)
    linear = torch.nn.Linear(3, 7)
    linear.weight.data = torch.randn(7, 3, generator=generator)
    linear.bias.data = torch.randn(7, generator=generator)
    vectors = torch.randn(4, 3, generator=generator)
    chances = linear(vectors.mean(0)).softmax(0).tolist()
    named: dict[str, float] = {}
    for label, chance in zip(LABELS, chances, strict=True):
        named[label] = named.get(label, 0.0) + chance
    expected = sorted(named.items(), key=lambda item: -item[1])[:NUM_WORDS]
    words = head().words(vectors)
    assert [word.label for word in words] == [label for label, _ in expected]
    assert [word.probability for word in words] == pytest.approx([chance for _, chance in expected])


def test_half_precision_is_enough_for_the_words() -> None:
    vectors = torch.randn(4, 3)
    halves = head().words(vectors.half())
    assert [word.label for word in halves] == [word.label for word in head().words(vectors)]


def test_few_classes_are_all_named() -> None:
    words = ObjectHead(torch.zeros(2, 3), torch.zeros(2), ["a", "b"]).words(torch.zeros(1, 3))
    assert sorted(words) == [ObjectWord("a", 0.5), ObjectWord("b", 0.5)]


def test_each_class_needs_a_name() -> None:
    with pytest.raises(ValueError, match="expected 3 labels, one a class, got 2"):
        ObjectHead(torch.zeros(3, 2), torch.zeros(3), ["a", "b"])


def test_the_names_of_imagenet_are_short_and_in_the_order_of_the_classes() -> None:
    labels = read_labels(IMAGENET)
    assert len(labels) == 1000
    assert (labels[0], labels[388], labels[409], labels[999]) == (
        "tench",
        "giant panda",
        "analog clock",
        "toilet paper",
    )
    assert all(label.isascii() and label.strip() == label for label in labels)
    assert max(len(label.split()) for label in labels) <= 5


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.txt: No such file"):
        read_labels(tmp_path / "none.txt")


def test_classes_that_do_not_exclude_each_other_have_a_chance_each() -> None:
    head = ObjectHead(
        torch.eye(3), torch.tensor([0.0, 1.0, -9.0]), ["red", "dog", "ox"], exclusive=False
    )
    words = head.words(torch.tensor([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]]))
    chances = torch.tensor([2.0, 3.0, -9.0]).sigmoid().tolist()
    assert {word.label: word.probability for word in words} == pytest.approx(
        dict(zip(["red", "dog", "ox"], chances, strict=True))
    )
    assert [word.label for word in words] == ["dog", "red", "ox"]


def test_merged_words_are_each_named_once_the_likeliest_first() -> None:
    one = (ObjectWord("ram", 0.6), ObjectWord("grass", 0.1))
    other = (ObjectWord("grass", 0.9), ObjectWord("white", 0.5))
    assert merge(one, other) == (
        ObjectWord("grass", 0.9),
        ObjectWord("ram", 0.6),
        ObjectWord("white", 0.5),
    )
    assert merge() == merge((), ()) == ()
