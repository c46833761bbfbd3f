"""What is at hand is what a task can read, split by split."""

from pathlib import Path

from openmmb.tasks import TASKS
from openmmb.tasks.at_hand import count_at_hand, pictures_at_hand, splits_at_hand
from openmmb.tasks.catalogue import ABOUT
from tests.build import write_tiny_data


def test_a_split_is_at_hand_whose_files_are_there(tmp_path: Path) -> None:
    assert splits_at_hand("convai2", tmp_path) == []
    write_tiny_data(tmp_path)
    assert splits_at_hand("convai2", tmp_path) == ["train", "valid"]


def test_what_comes_with_the_package_is_always_at_hand(tmp_path: Path) -> None:
    assert splits_at_hand("picture_talk", tmp_path) == splits_at_hand("written", tmp_path)
    assert splits_at_hand("written", tmp_path) == ["train"]


def test_word_lists_have_no_splits(tmp_path: Path) -> None:
    (other,) = set(ABOUT) - set(TASKS)
    assert splits_at_hand(other, tmp_path) == []
    assert list(count_at_hand(other, tmp_path)) == []


def test_what_is_at_hand_is_counted_and_its_pictures_are_named(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    assert list(count_at_hand("flickr8k", tmp_path)) == [
        "flickr8k train: 2 of 6,000 examples as published",
        "flickr8k valid: 2 of 1,000 examples as published",
    ]
    assert pictures_at_hand("flickr8k", tmp_path) == {"11_aa", "22_bb"}
    assert pictures_at_hand("convai2", tmp_path) == set()
