"""What is held out is never learnt from, and is the same in every run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.config import parse
from openmmb.data.batcher import Batcher
from openmmb.data.controls import ControlsConfig
from openmmb.data.encode import EncodeConfig
from openmmb.errors import ConfigError, DataError
from openmmb.tasks.mixture import (
    FeatureFolders,
    TaskConfig,
    held_out,
    open_batches,
    read_task,
    read_train,
    read_valid,
)
from openmmb.text.tokenizer import Tokenizer
from tests.build import (
    TINY_F,
    TINY_I,
    tiny_chat_tokenizer,
    tiny_example,
    tiny_features,
    tiny_tokenizer,
    write_tiny_data,
)
from tests.tasks.build import BUILD


def write_conversations(root: Path, count: int) -> None:
    """Write that many conversations of three turns as dailydialog."""
    path = root / "dailydialog" / "train.json"
    path.parent.mkdir(parents=True)
    rows = [{"dialogue": ["Hi.", f"I am {n}.", "Bye."]} for n in range(count)]
    path.write_text(json.dumps(rows), encoding="utf-8")


def test_the_published_split_is_validated_on(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    read = read_task(TaskConfig(name="convai2"), tmp_path)
    assert (len(read.train), len(read.valid)) == (3, 3)
    assert read.valid[0].conversation == "valid:0"


def test_a_holdout_takes_whole_conversations(tmp_path: Path) -> None:
    write_conversations(tmp_path, 400)
    read = read_task(TaskConfig(name="dailydialog", holdout=0.25), tmp_path)
    learnt = {example.conversation for example in read.train}
    kept = {example.conversation for example in read.valid}
    assert not learnt & kept
    assert len(learnt | kept) == 400
    assert 0.2 < len(kept) / 400 < 0.3
    assert read_train(TaskConfig(name="dailydialog", holdout=0.25), tmp_path) == read.train


def test_a_larger_holdout_holds_the_smaller_one() -> None:
    examples = [tiny_example(conversation=str(n)) for n in range(500)]
    small, large = ({e for e in examples if held_out(e, share)} for share in (0.1, 0.3))
    assert small < large
    assert not any(held_out(example, 0.0) for example in examples)


def test_the_held_out_never_change() -> None:
    """Otherwise a later stage would learn what an earlier one was validated on."""
    kept = [n for n in range(100) if held_out(tiny_example(conversation=f"train:{n}"), 0.05)]
    assert kept == [16, 45, 70, 75]


def test_write_on_is_for_learning_only(tmp_path: Path) -> None:
    write_conversations(tmp_path, 40)
    read = read_task(TaskConfig(name="dailydialog", holdout=0.5, write_on=True), tmp_path)
    assert [example.following for example in read.train[:2]] == [("Bye.",), ()]
    assert all(not example.following for example in read.valid)


def test_both_sides_are_asked_for(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    one = read_train(TaskConfig(name="convai2"), tmp_path)
    both = read_train(TaskConfig(name="convai2", both_sides=True), tmp_path)
    assert len(both) > len(one)


def test_a_task_that_is_only_learnt_from_needs_no_other_file(tmp_path: Path) -> None:
    BUILD["convai2"](tmp_path)
    assert len(read_train(TaskConfig(name="convai2"), tmp_path)) == 3
    with pytest.raises(DataError, match="valid_self_original"):
        read_task(TaskConfig(name="convai2"), tmp_path)


def test_nothing_to_learn_from_is_an_error(tmp_path: Path) -> None:
    write_conversations(tmp_path, 0)
    with pytest.raises(DataError, match=r"^task dailydialog: no examples to learn from in split"):
        read_train(TaskConfig(name="dailydialog"), tmp_path)


def test_nothing_to_validate_on_is_none(tmp_path: Path) -> None:
    write_conversations(tmp_path, 2)
    read = read_task(TaskConfig(name="dailydialog", holdout=1e-9), tmp_path)
    assert read.valid == []


def test_an_unknown_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no data set 'convai'; did you mean 'convai2'"):
        read_task(TaskConfig(name="convai"), tmp_path)


def test_only_what_is_kept_for_validation_can_be_read(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    for name, holdout in (("convai2", 0.0), ("dailydialog", 0.25)):
        config = TaskConfig(name=name, holdout=holdout)
        assert list(read_valid(config, tmp_path)) == read_task(config, tmp_path).valid


def test_packed_is_for_learning_only(tmp_path: Path) -> None:
    write_conversations(tmp_path, 40)
    read = read_task(TaskConfig(name="dailydialog", holdout=0.5, packed=True), tmp_path)
    assert [(e.reply[:4], e.following) for e in read.train[:2]] == [("I am", ()), ("Bye.", ())]
    assert all(not example.following for example in read.valid)
    with pytest.raises(ConfigError, match="write_on and packed are both true; use one of them"):
        parse(TaskConfig, {"name": "dailydialog", "write_on": True, "packed": True})


def test_words_that_a_folder_lacks_are_missed_by_name(tmp_path: Path) -> None:
    folder = tiny_features(tmp_path)
    folders = FeatureFolders(encoder="tiny", image_shape=(TINY_I, TINY_F), plain=str(folder))
    with pytest.raises(ConfigError, match=r"^features: .* has no words .* encode\.object_words"):
        folders.open_words()
    with pytest.raises(ConfigError, match=r"^features: missing has no words"):
        replace(folders, plain=None).open_words()


def opened(root: Path, features: FeatureFolders | None, *, category_frac: float = 0.75) -> Batcher:
    examples = [
        *read_train(TaskConfig(name="image_chat"), root),
        *read_train(TaskConfig(name="convai2"), root),
    ]
    return open_batches(
        examples,
        root=root,
        tokenizer=tiny_tokenizer(),
        encode=EncodeConfig(),
        controls=ControlsConfig(category_frac=category_frac),
        seed=7,
        features=features,
    )


def test_batches_have_the_controls_and_the_vectors_of_their_pictures(tmp_path: Path) -> None:
    folder = str(tiny_features(tmp_path))
    write_tiny_data(tmp_path)
    folders = FeatureFolders(encoder="tiny", image_shape=(TINY_I, TINY_F), plain=folder)
    batcher = opened(tmp_path, folders)
    assert batcher.controls.polarities["Angry"] == "negative"
    (example, *_) = read_train(TaskConfig(name="image_chat"), tmp_path)
    batch = batcher.collate([batcher.row(example, 0)])
    assert batch.image.shape == (1, TINY_I, TINY_F)
    assert batch.has_image.all()


def test_pictures_are_not_looked_up_where_nobody_asks_for_them(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    batcher = opened(tmp_path, None)
    assert (batcher.views, batcher.image_shape) == ((), (0, 0))


def test_polarities_are_read_only_where_a_trait_may_become_one(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    (tmp_path / "image_chat" / "personalities.json").unlink()
    assert opened(tmp_path, None, category_frac=0.0).controls.polarities == {}
    with pytest.raises(DataError, match=r"personalities\.json"):
        opened(tmp_path, None)


def test_pictures_need_vectors_that_fit(tmp_path: Path) -> None:
    folder = str(tiny_features(tmp_path))
    write_tiny_data(tmp_path)
    with pytest.raises(ConfigError, match="features: missing, but these data sets have pictures"):
        opened(tmp_path, FeatureFolders(encoder="tiny", image_shape=(TINY_I, TINY_F)))
    other = FeatureFolders(encoder="other", image_shape=(TINY_I, TINY_F), plain=folder)
    with pytest.raises(ConfigError, match=r"of .tiny., expected .* of .other."):
        opened(tmp_path, other)


def test_turns_need_a_vocabulary_that_marks_them(tmp_path: Path) -> None:
    def opened(tokenizer: Tokenizer) -> Batcher:
        return open_batches(
            [tiny_example()],
            root=tmp_path,
            tokenizer=tokenizer,
            encode=EncodeConfig(layout="turns"),
            controls=ControlsConfig(),
            seed=0,
            features=None,
        )

    with pytest.raises(
        ConfigError, match=r"^encode\.layout: 'turns' needs a vocabulary that marks"
    ):
        opened(tiny_tokenizer())
    assert opened(tiny_chat_tokenizer()).row(tiny_example(), 0).encoded.targets
