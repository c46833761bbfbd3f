"""Flickr8k yields one example a picture, with its other captions as references."""

from pathlib import Path

from openmmb.data.example import Example
from openmmb.tasks.flickr8k import Flickr8k
from tests.tasks.build import flickr8k


def test_captions_are_gathered_by_picture(tmp_path: Path) -> None:
    flickr8k(tmp_path)
    assert list(Flickr8k(tmp_path).examples("train")) == [
        Example(
            context=(),
            reply="A dog runs, fast.",
            task="flickr8k",
            conversation="11_aa",
            image_id="11_aa",
            references=("The dog's ears fly", 'A sign says "no dogs".'),
        ),
        Example((), "Two men talk.", task="flickr8k", conversation="22_bb", image_id="22_bb"),
    ]
