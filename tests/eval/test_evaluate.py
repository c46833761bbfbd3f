"""One call measures a model on data sets, and says in one line what cannot be measured."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from openmmb.checkpoint import save_checkpoint
from openmmb.config import dump, parse
from openmmb.data.controls import ControlsConfig
from openmmb.errors import CheckpointError, ConfigError, DataError
from openmmb.eval.config import EvaluationConfig
from openmmb.eval.evaluate import evaluate
from openmmb.eval.measure import TaskReport
from openmmb.safety.guard import GuardConfig
from openmmb.tasks.mixture import TaskConfig
from tests.build import TINY_F, TINY_I, tiny_checkpoint, tiny_features, write_tiny_data

QUIET = GuardConfig(classifier="none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint, data and image vectors."""
    folder = tmp_path_factory.mktemp("evaluate")
    checkpoint = tiny_checkpoint(
        encoder="tiny", image_vectors=TINY_I, image_dim=TINY_F, gender="f0m0"
    )
    save_checkpoint(checkpoint, folder / "checkpoint", precision="fp32")
    write_tiny_data(folder / "data")
    tiny_features(folder)
    return folder


@pytest.fixture
def config(folder: Path) -> EvaluationConfig:
    return EvaluationConfig(
        root=str(folder / "data"),
        features=str(folder / "features"),
        guard=QUIET,
        max_examples=2,
        replies=False,
    )


def test_names_and_configs_mean_the_same(folder: Path, config: EvaluationConfig) -> None:
    model = folder / "checkpoint"
    (one,) = evaluate(model, "convai2", config)
    assert evaluate(str(model), ["convai2"], config) == [one]
    assert evaluate(model, TaskConfig(name="convai2"), config) == [one]
    assert evaluate(model, ["convai2", TaskConfig(name="convai2")], config) == [one]
    assert (one.task, one.examples, one.replies) == ("convai2", 2, ())


def test_a_checkpoint_in_memory_is_measured_as_the_same_on_disk(
    folder: Path, config: EvaluationConfig
) -> None:
    checkpoint = tiny_checkpoint(
        encoder="tiny", image_vectors=TINY_I, image_dim=TINY_F, gender="f0m0"
    )
    tasks = ["convai2", "flickr8k"]
    assert evaluate(checkpoint, tasks, config) == evaluate(folder / "checkpoint", tasks, config)


def test_reports_are_seen_as_they_come(folder: Path, config: EvaluationConfig) -> None:
    seen: list[TaskReport] = []
    steps: list[tuple[int, int]] = []
    reports = evaluate(
        folder / "checkpoint",
        ["convai2", "flickr8k"],
        replace(config, replies=True),
        watch=seen.append,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert reports == seen
    assert [report.task for report in reports] == ["convai2", "flickr8k"]
    assert [reply.setting for reply in reports[0].replies] == ["uncontrolled", "f0m0"]
    assert steps[-1][0] == steps[-1][1]


def test_controls_are_those_that_are_asked_for(folder: Path, config: EvaluationConfig) -> None:
    model = folder / "checkpoint"
    (own,) = evaluate(model, "convai2", config)
    (free,) = evaluate(model, "convai2", replace(config, controls=ControlsConfig()))
    assert own.perplexity != free.perplexity
    assert free.perplexity == free.perplexity_uncontrolled == own.perplexity_uncontrolled


def test_a_split_counts_for_every_data_set(folder: Path, config: EvaluationConfig) -> None:
    task = TaskConfig(name="dailydialog", holdout=0.5)
    (kept,) = evaluate(folder / "checkpoint", [task], replace(config, max_examples=100))
    (train,) = evaluate(
        folder / "checkpoint", [task], replace(config, max_examples=100, split="train")
    )
    assert kept.examples < train.examples


@pytest.mark.parametrize("kind", ["plain", "auto"])
def test_engines_agree(folder: Path, config: EvaluationConfig, kind: str) -> None:
    (report,) = evaluate(folder / "checkpoint", "convai2", replace(config, engine=kind))
    (plain,) = evaluate(folder / "checkpoint", "convai2", replace(config, engine="plain"))
    assert report.perplexity == pytest.approx(plain.perplexity, rel=1e-4)


def test_what_cannot_be_measured_is_refused(folder: Path, config: EvaluationConfig) -> None:
    model = folder / "checkpoint"
    with pytest.raises(ConfigError, match="tasks: expected at least one data set"):
        evaluate(model, [], config)
    with pytest.raises(ConfigError, match="no data set 'convai'; did you mean 'convai2'"):
        evaluate(model, "convai", config)
    with pytest.raises(ConfigError, match="tasks: 'convai2' is there twice"):
        evaluate(model, ["convai2", TaskConfig(name="convai2", both_sides=True)], config)
    with pytest.raises(DataError, match="no examples to measure in dailydialog"):
        evaluate(model, TaskConfig(name="dailydialog", holdout=1e-9), config)
    with pytest.raises(ConfigError, match="no device 'gpu'"):
        evaluate(model, "convai2", replace(config, device="gpu"))
    with pytest.raises(ConfigError, match="engine: no engine 'warp'"):
        evaluate(model, "convai2", replace(config, engine="warp"))
    with pytest.raises(CheckpointError):
        evaluate(folder / "absent", "convai2", config)
    keeping = replace(config, replies=True, saved_replies=str(folder / "replies.jsonl"))
    with pytest.raises(ConfigError, match="saved_replies: expected a checkpoint on disk"):
        evaluate(tiny_checkpoint(encoder="tiny"), "convai2", keeping)


@pytest.mark.parametrize(
    ("name", "value"), [("max_examples", 0), ("batch_size", -1), ("seed", -1), ("seed", 2**63)]
)
def test_a_setting_out_of_range_is_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be .*, got {value}"):
        parse(EvaluationConfig, {name: value})


def test_a_config_survives_toml(config: EvaluationConfig) -> None:
    import tomllib

    assert parse(EvaluationConfig, tomllib.loads(dump(config))) == config


def test_what_the_manual_shows_happens(capsys: pytest.CaptureFixture[str]) -> None:
    manual = Path(__file__).parents[2] / "docs" / "evaluation.md"
    (block,) = re.findall(r"^```python\n(.*?)^```$", manual.read_text(), re.MULTILINE | re.DOTALL)
    exec(block, {})
    assert re.fullmatch(
        r"written/talk_small: perplexity \d+\.\d over 20 replies\n", capsys.readouterr().out
    )
