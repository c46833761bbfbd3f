"""COCO yields a picture with all its captions (2014) or each caption with the others (2017)."""

from pathlib import Path

import pytest

from openmmb.data.example import Example, one_caption
from openmmb.errors import DataError
from openmmb.tasks.coco_captions import CocoCaptions, CocoCaptions2017
from tests.tasks.build import coco_2017, karpathy, write_json


def test_a_picture_of_2014_is_one_example(tmp_path: Path) -> None:
    karpathy(tmp_path)
    first, *_ = CocoCaptions(tmp_path).examples("train")
    assert first == Example(
        context=(),
        reply="A train dog runs.",
        task="coco_captions",
        conversation="COCO_train2014_000000000000",
        image_id="COCO_train2014_000000000000",
        references=("It is fast.",),
    )


def test_the_rest_of_the_validation_set_is_an_option(tmp_path: Path) -> None:
    karpathy(tmp_path)

    def replies(restval: bool, split: str) -> list[str]:
        task = CocoCaptions(tmp_path, restval=restval)
        return [e.reply for e in task.examples(split)]  # type: ignore[arg-type]  # the three

    assert replies(True, "train") == ["A train dog runs.", "A restval dog runs."]
    assert replies(False, "train") == ["A train dog runs."]
    for restval in (True, False):
        assert replies(restval, "valid") == ["A val dog runs."]
        assert replies(restval, "test") == ["A test dog runs."]


def test_a_caption_of_2017_is_one_example_with_the_others_going_round(tmp_path: Path) -> None:
    coco_2017(tmp_path)
    examples = list(CocoCaptions2017(tmp_path).examples("train"))
    assert [(e.image_id, e.reply, e.references) for e in examples] == [
        ("000000000007", "A dog runs.", ("A fast dog.", "Look, a dog!")),
        ("8", "A boat.", ()),
        ("000000000007", "A fast dog.", ("Look, a dog!", "A dog runs.")),
        ("000000000007", "Look, a dog!", ("A dog runs.", "A fast dog.")),
    ]


def test_every_epoch_of_2017_has_every_caption_once(tmp_path: Path) -> None:
    coco_2017(tmp_path)
    examples = list(CocoCaptions2017(tmp_path).examples("train"))
    said = sorted((e.image_id, e.reply) for e in examples)
    for epoch in range(4):
        drawn = [one_caption(example, epoch) for example in examples]
        assert sorted((e.image_id, e.reply) for e in drawn) == said


def test_what_was_never_published_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"captions of the test split were never published; use 'v"):
        list(CocoCaptions2017(tmp_path).examples("test"))


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    raw = {"images": [], "annotations": [{"image_id": 3, "caption": "Hm."}]}
    write_json(tmp_path / "coco_captions" / "captions_val2017.json", raw)
    with pytest.raises(DataError, match=r"captions_val2017.json: a caption of picture 3, which is"):
        list(CocoCaptions2017(tmp_path).examples("valid"))
    bare = {"images": [{"filename": "9.jpg", "split": "val", "sentences": [{"raw": " "}]}]}
    write_json(tmp_path / "coco_captions" / "dataset_coco.json", bare)
    with pytest.raises(DataError, match=r"dataset_coco.json: no caption of picture '9.jpg'"):
        list(CocoCaptions(tmp_path).examples("valid"))
