"""However many processes share a network, they begin with the weights that one begins with.

Two processes on the CPU stand for any number of graphics cards.
"""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from openmmb.config import dump
from openmmb.errors import ConfigError
from openmmb.model.stack import Stack
from openmmb.training.replies.config import Recipe
from openmmb.training.run.config import OptimConfig
from openmmb.training.run.log import Record
from openmmb.training.run.placement import choose_trainable, place
from openmmb.training.train import train
from tests.build import run_script, tiny_features, tiny_model
from tests.training.build import PICTURES, TEXT, records, tiny_recipe, write_start
from tests.training.run.line import line_config

BEGIN = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from openmmb.config import load
from openmmb.distributed import full_state_dict, is_main, rank
from openmmb.training.replies.config import Recipe
from openmmb.training.run.loop import opened
from openmmb.training.run.config import OptimConfig
from openmmb.training.run.log import Record
from openmmb.training.run.placement import choose_trainable, place
from openmmb.training.replies.prepare import prepare
from openmmb.training.replies.objective import Replies
from openmmb.training.train import train

torch.set_num_threads(1)
folder = Path(sys.argv[1])
for name in sys.argv[2:]:
    recipe = load(Recipe, folder / f"{name}.toml")
    if name == "learnt" or name.startswith("partly"):
        train(recipe)
        continue
    with opened(recipe, torch.device("cpu")):
        model = Replies(recipe, prepare(recipe)).build()
        devices = {weight.device.type for weight in model.parameters()}
        if name == "other_weights":  # an objective may build them in every process
            torch.manual_seed(rank())
            model.to_empty(device="cpu")
            for weight in model.parameters():
                torch.nn.init.normal_(weight)
        place(model, torch.device("cpu"), recipe)
        trained = {key: weight.requires_grad for key, weight in model.named_parameters()}
        assert trained == {key: "positions" not in key for key in trained}
        weights = full_state_dict(model)
        (folder / f"{name}-{rank()}.txt").write_text(" ".join(devices))
        if is_main():
            save_file(weights, folder / f"{name}.safetensors")
"""
"""Begin runs, in each of several processes, and write the weights they would learn from."""

BEGUN = ("anew", "started", "narrow", "other_weights")


PARTLY: dict[str, dict[str, Any]] = {
    "partly": {},
    "partly-narrow": {"precision": "bf16", "frozen_precision": "bf16"},
    "partly-adafactor": {"optim": OptimConfig(name="adafactor", lr=1e-2)},
    "partly-again": {"activation_checkpointing": True},
}
"""Runs in which only the decoder learns."""


def partly(folder: Path, name: str) -> Recipe:
    recipe = tiny_recipe(folder, start=write_start(folder), batch_size=5, max_steps=20, dropout=0.0)
    recipe = replace(recipe, trainable=("decoder.*",), **PARTLY[name])
    return replace(recipe, out=str(folder / name))


def recipes_in(folder: Path) -> dict[str, Recipe]:
    """Write the data, and return what is to be begun or learnt."""
    anew = tiny_recipe(folder, batch_size=5, dropout=0.0)
    start = tiny_recipe(folder, start=write_start(folder))
    pictures = replace(
        anew,
        tasks=(*TEXT, *PICTURES),
        schedule=replace(anew.schedule, max_steps=20),
        data=replace(anew.data, features=str(tiny_features(folder)), accumulate=2, workers=1),
    )
    return {
        "anew": anew,
        "started": replace(start, fresh_controls=True),
        "narrow": replace(anew, precision="bf16", memory_efficient=True),
        "other_weights": anew,
        "learnt": pictures,
        **{name: partly(folder, name) for name in PARTLY},
    }


def begin(script: Path, out: Path, recipes: dict[str, Recipe], *, processes: int) -> None:
    out.mkdir()
    for name, recipe in recipes.items():
        text = dump(replace(recipe, out=str(out / name)))
        (out / f"{name}.toml").write_text(text, encoding="utf-8")
    run_script(script, str(out), *recipes, processes=processes)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Begin every run on one process and on two."""
    folder = tmp_path_factory.mktemp("placed")
    recipes = recipes_in(folder)
    script = folder / "begin.py"
    script.write_text(BEGIN, encoding="utf-8")
    begin(script, folder / "one", recipes, processes=1)
    begin(script, folder / "two", recipes, processes=2)
    return folder


def weights(folder: Path, name: str) -> dict[str, Tensor]:
    return load_file(folder / f"{name}.safetensors")


@pytest.mark.parametrize("name", BEGUN)
def test_two_begin_with_the_weights_of_one_bit_for_bit(name: str, begun: Path) -> None:
    one, two = (weights(begun / many, name) for many in ("one", "two"))
    assert one.keys() == two.keys()
    assert len(one) > 20
    assert all(torch.equal(two[key], weight) for key, weight in one.items())
    assert {weight.dtype for weight in two.values()} == {
        torch.bfloat16 if name == "narrow" else torch.float32
    }


@pytest.mark.parametrize("name", ["anew", "started", "narrow"])
def test_only_the_first_builds_weights(name: str, begun: Path) -> None:
    built = [(begun / "two" / f"{name}-{rank}.txt").read_text() for rank in range(2)]
    assert built == ["cpu", "meta"]


def test_they_learn_the_same_from_batches_of_which_each_makes_its_part(begun: Path) -> None:
    """With pictures, each in a process of its own that makes them ahead."""
    one, two = (records(begun / many / "learnt", "step", "valid") for many in ("one", "two"))
    assert len(one) == 4
    assert [record.get("padding") for record in one] == [record.get("padding") for record in two]
    for key in ("loss", "ppl", "norm", "tokens"):
        expected = [record.get(key, 0.0) for record in one]
        assert [record.get(key, 0.0) for record in two] == pytest.approx(expected, rel=1e-5)


def test_alone_a_network_without_memory_gets_some() -> None:
    model = tiny_model().to("meta")
    place(model, torch.device("cpu"), line_config(Path("run")))
    assert {weight.device.type for weight in model.parameters()} == {"cpu"}


def test_alone_a_network_stays_as_it_is() -> None:
    model, same = tiny_model(), tiny_model()
    place(model, torch.device("cpu"), replace(line_config(Path("run")), precision="bf16"))
    torch.testing.assert_close(model.state_dict(), same.state_dict(), rtol=0, atol=0)


def test_a_run_that_went_on_ends_as_one_that_did_not(tmp_path: Path) -> None:
    """Its network had no weights until it read them."""
    recipe = tiny_recipe(tmp_path, max_steps=20, start=write_start(tmp_path))
    straight = train(recipe).folder
    other = replace(recipe, out=str(tmp_path / "other"))
    resumed = train(other).folder
    (resumed / "state-00000020").rename(resumed / "gone")
    train(other)
    name = "state-00000020/state.safetensors"
    assert (resumed / name).read_bytes() == (straight / name).read_bytes()


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (
            ("decodr.*",),
            r"^trainable: 'decodr\.\*' matches no weight; use patterns of names ",
        ),
        (("*positions*",), r"^trainable: \*positions\* matches only weights that are fixed$"),
    ],
)
def test_patterns_that_leave_nothing_to_learn_are_refused(
    patterns: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_trainable(tiny_model(), patterns)


def test_all_weights_learn_but_those_that_the_network_holds_fixed() -> None:
    model = tiny_model()
    choose_trainable(model, ["*"])
    fixed = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    assert fixed == {name for name in model.state_dict() if "positions" in name}


@pytest.mark.parametrize("recompute", [True, False])
def test_layers_are_computed_again_if_the_config_says_so(recompute: bool) -> None:
    model = tiny_model()
    config = replace(line_config(Path("run")), activation_checkpointing=recompute)
    place(model, torch.device("cpu"), config)
    stacks = [module for module in model.modules() if isinstance(module, Stack)]
    assert [stack.recompute for stack in stacks] == [recompute] * 2


@pytest.mark.parametrize("memory_efficient", [True, False])
def test_frozen_weights_may_be_kept_in_fewer_bits(memory_efficient: bool) -> None:
    model = tiny_model()
    choose_trainable(model, ["decoder.layers.*"])
    config = replace(
        line_config(Path("run")),
        precision="fp16",
        frozen_precision="bf16",
        memory_efficient=memory_efficient,
    )
    place(model, torch.device("cpu"), config)
    dtypes = {weight.requires_grad: weight.dtype for weight in model.parameters()}
    learnt = torch.float16 if memory_efficient else torch.float32
    assert dtypes == {True: learnt, False: torch.bfloat16}


@pytest.mark.parametrize("name", PARTLY)
def test_what_is_frozen_stays_and_a_stopped_run_goes_on_bit_for_bit(
    name: str, tmp_path: Path
) -> None:
    recipe = partly(tmp_path, name)
    straight = train(recipe)
    assert straight.checkpoint is not None
    begun = load_file(tmp_path / "start" / "model.safetensors")
    frozen = load_file(straight.folder / "frozen" / "state.safetensors")
    assert {"model.embeddings.weight", "model.encoder.norm.weight"} < frozen.keys()
    for key, weight in frozen.items():
        expected = begun[key.removeprefix("model.")].to(weight.dtype)
        assert torch.equal(weight, expected), key
    state = load_file(straight.folder / "state-00000020" / "state.safetensors")
    assert all(key.split(".", 1)[1].startswith("decoder") for key in state if "model." in key)
    assert {state[key].dtype for key in state if key.startswith("model.")} == {torch.float32}
    valid = [record["ppl"] for record in records(straight.folder, "valid")]
    assert valid[-1] < valid[0]

    def ask(record: Record) -> None:
        if (record["kind"], record["step"]) == ("valid", 10):
            os.kill(os.getpid(), signal.SIGTERM)

    other = replace(recipe, out=str(tmp_path / "stopped"))
    assert train(other, watch=ask).reason == "stopped"
    shutil.rmtree(tmp_path / "start")  # the run's folder has all that it needs
    resumed = train(other).folder
    for path in ("state-00000020", "frozen"):
        whole = [load_file(run / path / "state.safetensors") for run in (straight.folder, resumed)]
        torch.testing.assert_close(whole[0], whole[1], rtol=0, atol=0)


@pytest.mark.parametrize("name", PARTLY)
def test_two_processes_learn_a_part_as_one_does(name: str, begun: Path) -> None:
    one, two = (records(begun / many / name, "step", "valid") for many in ("one", "two"))
    rel = 0.02 if name == "partly-narrow" else 1e-5
    for key in ("loss", "ppl", "norm"):
        expected = [record.get(key, 0.0) for record in one]
        assert [record.get(key, 0.0) for record in two] == pytest.approx(expected, rel=rel)
    assert list((begun / "two" / name / "frozen").glob("shard-00002*"))
