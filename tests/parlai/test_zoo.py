"""A model's name in ParlAI is a checkpoint's folder here, and a missing one can be come by."""

from pathlib import Path

import pytest

from openmmb.checkpoint import save_checkpoint
from openmmb.errors import ConfigError
from openmmb.parlai.zoo import ARCHIVES, explain_missing, find_model
from tests.build import tiny_checkpoint
from tests.convert.build import copy_micro


def test_a_checkpoint_is_itself_and_a_run_has_one(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert find_model(str(run)) == str(run / "checkpoint")
    save_checkpoint(tiny_checkpoint(), run / "checkpoint", precision="fp16")
    assert find_model(str(run)) == str(run / "checkpoint")
    assert find_model(str(run / "checkpoint")) == str(run / "checkpoint")
    assert find_model("tiny") == "tiny"


@pytest.mark.parametrize("model", sorted(ARCHIVES))
def test_the_zoo_is_converted_once(model: str) -> None:
    name = f"zoo:{model}/model"
    folder = find_model(name)
    assert folder == f"converted/{model.partition('/')[2]}"
    how = explain_missing(name, folder)
    assert ARCHIVES[model] in how
    assert f"openmmb convert parlai UNPACKED {folder}" in how


def test_a_run_that_is_missing_has_to_be_made() -> None:
    assert explain_missing("run", "run/checkpoint").endswith("the run of --model-file run makes it")


def test_a_parlai_model_has_to_be_converted(tmp_path: Path) -> None:
    micro = copy_micro(tmp_path / "micro")
    with pytest.raises(
        ConfigError,
        match=r"is a ParlAI model; make a checkpoint .* openmmb convert parlai .*model FOLDER",
    ):
        find_model(str(micro / "model"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "zoo:bart/bart_large/model",
            "no convertible model 'bart/bart_large'; expected one of ble",
        ),
        ("zoo:multimodal_blenderbot/model", "on request only .*openmmb convert parlai"),
    ],
)
def test_what_the_zoo_does_not_give_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: .*{message}"):
        find_model(name)
