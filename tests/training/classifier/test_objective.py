"""A recipe makes a classifier that the guard can ask, the same however often it is stopped."""

from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.errors import ConfigError
from openmmb.model.classifier import Classifier
from openmmb.safety.classifier import open_classifier
from openmmb.safety.reading import ReadConfig
from openmmb.safety.trained import load_classifier
from openmmb.tasks.labelled import LABELS
from openmmb.training.classifier.config import ClassifierRecipe
from openmmb.training.classifier.prepare import prepare_verdicts
from openmmb.training.run.log import Record
from openmmb.training.run.loop import TrainingResult
from openmmb.training.train import train
from tests.training.classifier.build import tiny_classifier_recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("classifier")


def test_what_was_learnt_is_told_apart(folder: Path) -> None:
    records: list[Record] = []
    made = train(tiny_classifier_recipe(folder, out="whole"), watch=records.append).checkpoint
    assert made is not None
    check = open_classifier(made)
    asked = [("you are an oaf 7", ()), ("i like dogs 8", ())]
    assert [verdict.safe for verdict in check.judge_side(asked, "bot")] == [False, True]
    rude, kind = check.judge(asked)[:, LABELS.index("offensive")].tolist()
    assert rude > kind + 0.1
    config = load_classifier(made).config
    assert config.labels == LABELS
    assert not config.exclusive
    assert set(config.thresholds) == {"person", "bot", "frame"}
    last = [record for record in records if record["kind"] == "valid"][-1]
    assert {"auc", "f1"} <= last.keys()
    assert {"f1/diasafety", "auc/davidson", "refused/convai2"} <= last.keys()
    start = records[0]
    assert float(start["steps_per_epoch"]) > 0
    assert {"texts/neutral", "valid/diasafety", "parameters"} <= start.keys()


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(folder: Path) -> None:
    whole = train(tiny_classifier_recipe(folder, out="once", max_steps=20))
    parted = tiny_classifier_recipe(folder, out="twice", max_steps=20)
    seen: list[Record] = []

    class Stopped(Exception):  # noqa: N818 it is no error
        pass

    def watch(record: Record) -> None:
        seen.append(record)
        if record["kind"] == "save" and record["step"] == 10 and len(seen) < 6:
            raise Stopped

    with pytest.raises(Stopped):
        train(parted, watch=watch)
    resumed = train(parted)
    one, two = (classifier_of(made).state_dict() for made in (whole, resumed))
    assert all(one[name].equal(two[name]) for name in one)


def test_a_batch_follows_from_its_step_alone(folder: Path) -> None:
    verdicts = prepare_verdicts(_prepared(tiny_classifier_recipe(folder, out="batches")))
    again = prepare_verdicts(tiny_classifier_recipe(folder, out="batches"))
    for step in (0, 3, 41):
        one, two = verdicts.loader.batch(step), again.loader.batch(step)
        assert one.ids.equal(two.ids)
        assert one.labels.equal(two.labels)
        assert one.known.equal(two.known)
        assert one.known.any(1).all()
        assert not (one.labels & ~one.known).any()
        assert one.judged.any(1).all()
        assert not (one.judged & ~one.mask).any()
        assert len(one) == 8


def test_every_text_is_drawn_in_an_epoch(folder: Path) -> None:
    verdicts = prepare_verdicts(_prepared(tiny_classifier_recipe(folder, out="epoch")))
    steps = verdicts.loader.sampler.steps_per_epoch
    total = sum(len(verdicts.loader.batch(step)) for step in range(steps))
    counts = [round(s.weight * len(s.train)) for s in verdicts.loader.sources]
    assert 0 <= sum(counts) - total < 8


def classifier_of(result: TrainingResult) -> Classifier:
    assert result.checkpoint is not None
    return load_classifier(result.checkpoint).model


def _prepared(recipe: ClassifierRecipe) -> ClassifierRecipe:
    Path(recipe.out).mkdir(exist_ok=True)
    return recipe


def test_texts_longer_than_the_network_are_refused(folder: Path) -> None:
    recipe = _prepared(tiny_classifier_recipe(folder, out="long"))
    with pytest.raises(ConfigError, match=r"read: 49 tokens must be at most shape.num_positions"):
        prepare_verdicts(replace(recipe, read=ReadConfig(max_tokens=33, max_context=16)))
