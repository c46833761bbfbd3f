"""Flickr8k yields one example a picture, with its other captions as references."""

from pathlib import Path

import pytest

from openmmb.data.example import Example
from openmmb.errors import DataError
from openmmb.tasks.flickr8k import Flickr8k
from tests.tasks.build import CAPTIONS, flickr8k, write


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


def test_the_published_form_reads_the_same(tmp_path: Path) -> None:
    flickr8k(tmp_path / "converted")
    folder = tmp_path / "published" / "flickr8k"
    lines = [f"{picture}#{at}\t{caption}\n" for at, (picture, caption) in enumerate(CAPTIONS)]
    write(folder / "Flickr8k.token.txt", "".join([*lines, "33_cc.jpg#0\tOf another split .\n"]))
    write(folder / "Flickr_8k.trainImages.txt", "11_aa.jpg\n22_bb.jpg\n")
    write(folder / "Flickr_8k.devImages.txt", "33_cc.jpg\n")
    task = Flickr8k(tmp_path / "published")
    assert list(task.examples("train")) == list(Flickr8k(tmp_path / "converted").examples("train"))
    assert [example.reply for example in task.examples("valid")] == ["Of another split."]
    with pytest.raises(DataError, match=r"no file Flickr_8k\.testImages\.txt"):
        list(task.examples("test"))


def test_a_line_that_is_no_caption_is_named(tmp_path: Path) -> None:
    write(tmp_path / "flickr8k" / "Flickr8k.token.txt", "11_aa.jpg A dog .\n")
    write(tmp_path / "flickr8k" / "Flickr_8k.trainImages.txt", "11_aa.jpg\n")
    with pytest.raises(DataError, match=r"line 1: '11_aa.jpg A dog .'; expected 'x.jpg#0', a tab"):
        list(Flickr8k(tmp_path).examples("train"))
