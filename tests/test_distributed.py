"""Several processes make of a run what one makes of it, and agree on all that they must.

Two processes on the CPU stand for any number of graphics cards; the device is all that differs.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from openmmb import distributed
from openmmb.config import dump
from openmmb.errors import ConfigError
from openmmb.model.config import ModelConfig
from openmmb.training.replies.config import Recipe
from openmmb.training.run.config import ScheduleConfig
from openmmb.training.run.log import Record
from openmmb.training.train import train
from tests.build import run_script, tiny_config, tiny_features
from tests.training.build import PICTURES, TEXT, records, tiny_recipe, write_causal_start

MANY = """
import os, signal, sys
from pathlib import Path
import torch
from openmmb.config import load
from openmmb.errors import TrainingError
from openmmb.training.replies.config import Recipe
from openmmb.training.train import train

torch.set_num_threads(1)
folder, me = Path(sys.argv[1]), int(os.environ["RANK"])
for name in sys.argv[2:]:
    def watch(record):
        if name == "stopped" and (record["kind"], record["step"]) == ("step", 10):
            os.kill(os.getpid(), signal.SIGTERM)
    error = ""
    try:
        train(load(Recipe, folder / f"{name}.toml"), watch=watch)
    except TrainingError as told:
        error = str(told)
    (folder / f"{name}-{me}.txt").write_text(error)
"""
"""Run recipes one after the other, in each of several processes."""

NOISELESS = ("plain", "pictures", "one_row", "checkpointed", "adafactor", "causal")


def test_alone_everything_is_as_it_is() -> None:
    model = nn.Linear(2, 2)
    assert (distributed.rank(), distributed.world_size(), distributed.is_main()) == (0, 1, True)
    assert distributed.all_reduce_sum([1.5, 2.0]) == [1.5, 2.0]
    assert distributed.any_rank(holds=True)
    assert not distributed.any_rank(holds=False)
    assert distributed.broadcast_object("mine") == "mine"
    assert distributed.all_gather_object("mine") == ["mine"]
    distributed.barrier()
    with distributed.main_first():
        pass
    with distributed.process_group(torch.device("cpu")):
        assert not torch.distributed.is_initialized()
    distributed.shard_model(model, torch.device("cpu"), None)
    assert distributed.full_tensor(model.weight) is model.weight
    assert distributed.to_local(model.weight) is model.weight
    assert distributed.local_shard(model.bias, model.bias) is model.bias
    weights = distributed.full_state_dict(model)
    assert all(torch.equal(weights[name], weight) for name, weight in model.named_parameters())


def test_a_device_that_is_not_there_is_one_line() -> None:
    assert distributed.open_device("cpu") == torch.device("cpu")
    for name, message in (
        ("gpu", r"^device: no device 'gpu'; did you mean 'cpu'\?$"),
        ("cuda:98", r"^device: no 'cuda:98' on this machine: .*; use 'cpu'$"),
        ("xpu", r"^device: no 'xpu' on this machine: .*; use 'cpu'$"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            distributed.open_device(name)
        assert "\n" not in str(caught.value)
    if torch.cuda.is_available():
        assert distributed.open_device("auto") == torch.device("cuda", 0)
        return
    assert distributed.open_device("auto") == torch.device("cpu")
    with pytest.raises(
        ConfigError, match=r"^device: no graphics card for process 0 .* sees 0; use 'cpu'$"
    ):
        distributed.open_device("cuda")


def test_each_process_has_a_graphics_card_unless_they_may_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("auto", "cuda"):
        monkeypatch.setenv("LOCAL_RANK", "1")
        assert distributed.open_device(name) == torch.device("cuda", 1)
        monkeypatch.setenv("LOCAL_RANK", "2")
        assert distributed.open_device(name, shared=True) == torch.device("cuda", 0)
        with pytest.raises(ConfigError, match=r"no graphics card for process 2 .* sees 2; use"):
            distributed.open_device(name)
    assert distributed.open_device("cpu", shared=True) == torch.device("cpu")


def test_the_environment_says_who_is_who(monkeypatch: pytest.MonkeyPatch) -> None:
    readers = {
        "RANK": distributed.environment_rank,
        "LOCAL_RANK": distributed.local_rank,
        "WORLD_SIZE": distributed.environment_world_size,
    }
    for name, read in readers.items():
        monkeypatch.delenv(name, raising=False)
        assert read() == (name == "WORLD_SIZE")
        monkeypatch.setenv(name, "12")
        assert read() == 12
        monkeypatch.setenv(name, "-1")
        with pytest.raises(ConfigError, match=f"^{name}: expected a whole number, got '-1'$"):
            read()


def recipes_in(folder: Path) -> dict[str, Recipe]:
    """Write the data, and return a recipe for each thing that is to be tried."""
    features = tiny_features(folder / "seen")
    tasks = (*TEXT, *PICTURES)
    plain = tiny_recipe(folder, max_steps=10, batch_size=5, dropout=0.0)
    changes: dict[str, dict[str, Any]] = {
        "plain": {},
        "pictures": {
            "tasks": tasks,
            "data": replace(plain.data, features=str(features), accumulate=2),
        },
        "one_row": {"data": replace(plain.data, batch_size=1)},
        "checkpointed": {"activation_checkpointing": True},
        "causal": {"start": write_causal_start(folder), "model": ModelConfig()},
        "adafactor": {"optim": replace(plain.optim, name="adafactor")},
        "bf16": {"precision": "bf16"},
        "fp16": {"precision": "fp16", "memory_efficient": True},
        "noisy": {"model": tiny_config(dropout=0.3)},
        "endless": {"optim": replace(plain.optim, lr=1e30)},
        "stopped": {"schedule": replace(plain.schedule, max_steps=20)},
        "grown": {"schedule": replace(plain.schedule, max_steps=20)},
        "shrunk": {"schedule": replace(plain.schedule, max_steps=20)},
    }
    changes["endless"]["schedule"] = ScheduleConfig(warmup_steps=0, max_steps=40)
    changes["endless"]["valid"] = replace(plain.valid, every_steps=40)
    return {
        name: replace(plain, out=str(folder / name), **change) for name, change in changes.items()
    }


def run_on_two(folder: Path, *names: str) -> None:
    script = folder / "many.py"
    script.write_text(MANY, encoding="utf-8")
    run_script(script, str(folder), *names, processes=2)


def stop_at_ten(record: Record) -> None:
    if (record["kind"], record["step"]) == ("step", 10):
        os.kill(os.getpid(), 15)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run every recipe on two processes; ``grown`` begins on one, ``shrunk`` ends on one."""
    folder = tmp_path_factory.mktemp("many")
    recipes = recipes_in(folder)
    for name, recipe in recipes.items():
        (folder / f"{name}.toml").write_text(dump(recipe), encoding="utf-8")
        alone = replace(recipe, out=str(folder / f"alone-{name}"))
        (folder / f"alone-{name}.toml").write_text(dump(alone), encoding="utf-8")
    train(recipes["grown"], watch=stop_at_ten)
    stopped = dump(replace(recipes["stopped"], out=str(folder / "shrunk")))
    assert stopped == dump(recipes["shrunk"])
    run_on_two(folder, *(name for name in recipes if name != "shrunk"))
    (folder / "stopped").rename(folder / "shrunk")
    return folder


def alone(folder: Path, name: str) -> Path:
    """Run a recipe on one process, if that was not done yet."""
    recipe = recipes_of(folder, f"alone-{name}")
    run = Path(recipe.out)
    if not run.exists():
        train(recipe)
    return run


def recipes_of(folder: Path, name: str) -> Recipe:
    from openmmb.config import load

    return load(Recipe, folder / f"{name}.toml")


def numbers(run: Path) -> list[float]:
    """Every number of the log that says how well it goes."""
    found = records(run, "step", "valid")
    return [
        v for record in found for k, v in record.items() if k.startswith(("loss", "ppl", "norm"))
    ]


def weights(run: Path) -> Mapping[str, Tensor]:
    return load_file(run / "checkpoint" / "model.safetensors")


@pytest.mark.parametrize("name", NOISELESS)
def test_two_processes_learn_what_one_learns(name: str, runs: Path) -> None:
    """Where a batch has one row, too, so that a process has none; and where rows do not halve."""
    expected = numbers(alone(runs, name))
    assert len(expected) > 4
    assert numbers(runs / name) == pytest.approx(expected, rel=1e-5)
    counted = [
        [record["tokens"] for record in records(run, "step")]
        for run in (alone(runs, name), runs / name)
    ]
    assert counted[0] == counted[1]  # a row that two processes have counts once
    one, two = weights(alone(runs, name)), weights(runs / name)
    assert one.keys() == two.keys()
    for key, weight in one.items():
        torch.testing.assert_close(two[key], weight, atol=1e-3, rtol=0)  # saved in fp16


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_in_fewer_bits_they_learn_about_the_same(name: str, runs: Path) -> None:
    assert numbers(runs / name) == pytest.approx(numbers(alone(runs, name)), rel=0.02)


def test_each_process_has_noise_of_its_own(runs: Path) -> None:
    noisy, plain = records(runs / "noisy", "step")[0], records(runs / "plain", "step")[0]
    assert noisy["tokens"] == plain["tokens"]
    assert noisy["loss"] != plain["loss"]
    assert noisy["loss"] == pytest.approx(plain["loss"], rel=0.1)


def test_they_give_up_together(runs: Path) -> None:
    errors = [(runs / f"endless-{rank}.txt").read_text() for rank in range(2)]
    assert "not finite 10 times in a row" in errors[0]
    assert errors[0] == errors[1]


def test_one_that_is_asked_to_stop_stops_all(runs: Path) -> None:
    (end,) = records(runs / "shrunk", "end")[:1]
    assert (end["reason"], end["step"]) == ("stopped", 10)
    state = runs / "shrunk" / "state-00000010"
    names = sorted(path.name for path in state.iterdir())
    assert [name for name in names if name.endswith(".safetensors")] == names[:2]
    assert names[2:] == ["state.json"]


def test_two_go_on_from_what_one_has_left(runs: Path) -> None:
    assert [record["step"] for record in records(runs / "grown", "start")] == [0, 10]
    straight = alone(runs, "grown")
    assert numbers(runs / "grown") == pytest.approx(numbers(straight), rel=1e-5)


def test_one_goes_on_from_what_two_have_left(runs: Path) -> None:
    train(recipes_of(runs, "shrunk"))
    assert [record["step"] for record in records(runs / "shrunk", "start")] == [0, 10]
    assert numbers(runs / "shrunk") == pytest.approx(numbers(alone(runs, "grown")), rel=1e-5)


def test_a_damaged_share_is_seen(runs: Path) -> None:
    states = sorted((runs / "plain").glob("state-*"))
    (share,) = states[-1].glob("shard-00002*")
    content = bytearray(share.read_bytes())
    content[-7] ^= 1
    share.write_bytes(content)
    run = runs / "plain"
    with pytest.raises(
        Exception, match=f"{share.name}: its hash is not that of state.json; remove"
    ):
        train(recipes_of(runs, "plain"))
    assert json.loads((run / "log.jsonl").read_text().splitlines()[-1])["kind"] == "end"


TOGETHER = """
import os, sys
import torch
from openmmb.distributed import all_gather_object, barrier, is_main, process_group
from openmmb.errors import TrainingError

try:
    with process_group(torch.device("cpu")):
        barrier()
        if not is_main():
            if sys.argv[1] == "killed":
                os.kill(os.getpid(), 9)
            sys.exit(2)
        while True:
            all_gather_object("here")
except TrainingError as error:
    print(error)
    os._exit(3)
"""


@pytest.mark.parametrize("how", ["killed", "failed"])
def test_where_one_process_ends_none_waits_for_it(how: str, tmp_path: Path) -> None:
    """Without ``torchrun``, which would end the others itself."""
    script = tmp_path / "together.py"
    script.write_text(TOGETHER, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), how],
            env={**os.environ, **meeting, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for rank in range(2)
    ]
    told = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [3, -9 if how == "killed" else 2]
    assert told[0].startswith("process 0 of 2: another one has failed or was killed")
