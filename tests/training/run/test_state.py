"""What was saved comes back bit for bit, and what is damaged never does."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from openmmb.errors import CheckpointError, TrainingError
from openmmb.model.seq2seq import Seq2Seq
from openmmb.training.run.config import OptimConfig
from openmmb.training.run.counters import Progress
from openmmb.training.run.optim import build_optimizer
from openmmb.training.run.placement import choose_trainable
from openmmb.training.run.seal import hash_file
from openmmb.training.run.state import load_state, save_state
from openmmb.training.run.steps import Steps
from tests.build import tiny_config, tiny_model

Trained = tuple[Seq2Seq, Steps]


def fresh(seed: int = 0, *, amsgrad: bool = False) -> Trained:
    model = tiny_model(seed=seed)
    return model, build_optimizer(model, OptimConfig(amsgrad=amsgrad))


def assert_same(found: object, expected: object) -> None:
    """Compare tensors in whatever holds them, bit for bit."""
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def by_name(model: Seq2Seq, optimizer: Steps) -> dict[str, dict[str, Tensor]]:
    """What an optimiser remembers of each weight."""
    return {name: optimizer.state.get(w, {}) for name, w in model.named_parameters()}


def state_names(run: Path) -> list[str]:
    return sorted(path.name for path in run.iterdir() if path.name != "frozen")


def moved(trained: Trained) -> Trained:
    """Make one update with made-up gradients; the first vocabulary row has none, as in life."""
    model, optimizer = trained
    for number, weight in enumerate(w for w in model.parameters() if w.requires_grad):
        weight.grad = torch.full_like(weight, 0.1 + number) if number else None
    optimizer.step()
    return trained


@pytest.mark.parametrize("amsgrad", [False, True])
def test_load_inverts_save(amsgrad: bool, tmp_path: Path) -> None:
    model, optimizer = moved(fresh(amsgrad=amsgrad))
    progress = Progress(step=7, tokens=99, seconds=1.5, best=float("inf"), recent_loss=0.1 + 0.2)
    save_state(tmp_path, progress, model, optimizer)
    other, its_optimizer = fresh(seed=1, amsgrad=amsgrad)
    assert load_state(tmp_path, other, its_optimizer) == (progress, ())
    assert_same(other.state_dict(), model.state_dict())
    assert_same(by_name(other, its_optimizer), by_name(model, optimizer))
    moved((model, optimizer))
    moved((other, its_optimizer))
    assert_same(other.state_dict(), model.state_dict())


def test_without_a_state_a_run_begins(tmp_path: Path) -> None:
    assert load_state(tmp_path, *fresh()) == (Progress(), ())


def test_the_newest_two_stay(tmp_path: Path) -> None:
    for step in (5, 10, 9999):
        save_state(tmp_path, Progress(step=step), *fresh())
    assert state_names(tmp_path) == ["state-00000010", "state-00009999"]


def test_an_old_state_that_cannot_be_removed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    for step in (5, 10):
        save_state(tmp_path, Progress(step=step), *fresh())
    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(TrainingError, match=r"cannot be written: Input/output error; nothing"):
        save_state(tmp_path, Progress(step=15), *fresh())
    assert load_state(tmp_path, *fresh())[0].step == 15


def test_a_state_replaces_that_of_the_same_step(tmp_path: Path) -> None:
    save_state(tmp_path, Progress(step=5, tokens=1), *fresh())
    save_state(tmp_path, Progress(step=5, tokens=2), *fresh())
    assert load_state(tmp_path, *fresh())[0].tokens == 2
    assert state_names(tmp_path) == ["state-00000005"]


def cut_tensors(state: Path) -> None:
    path = state / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def flip_one_bit(state: Path) -> None:
    path = state / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)


def cut_numbers(state: Path) -> None:
    path = state / "state.json"
    path.write_bytes(path.read_bytes()[:20])


def drop_numbers(state: Path) -> None:
    (state / "state.json").unlink()


def drop_tensors(state: Path) -> None:
    (state / "state.safetensors").unlink()


def other_numbers(state: Path) -> None:
    (state / "state.json").write_text('{"stepp": 3}', encoding="utf-8")


def a_list(state: Path) -> None:
    (state / "state.json").write_text("[]", encoding="utf-8")


def change_numbers(state: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = state / "state.json"
    numbers = json.loads(path.read_text(encoding="utf-8"))
    change(numbers)
    path.write_text(json.dumps(numbers), encoding="utf-8")


def other_count(state: Path) -> None:
    change_numbers(state, lambda numbers: numbers.update(tokens=1))


def unsealed(state: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change numbers as somebody would who knows the format."""
    change_numbers(state, lambda numbers: (numbers.pop("check"), change(numbers)))


def no_hashes(state: Path) -> None:
    unsealed(state, lambda numbers: numbers.update(sha256={}))
    flip_one_bit(state)


def no_hash(state: Path) -> None:
    unsealed(state, lambda numbers: numbers.pop("sha256"))


def hashes_of_another_kind(state: Path) -> None:
    unsealed(state, lambda numbers: numbers.update(sha256=[3]))


def a_file_more(state: Path) -> None:
    shutil.copy(state / "state.safetensors", state / "state.more.safetensors")


def another_step(state: Path) -> None:
    unsealed(state, lambda numbers: numbers.update(step=11))


def numbers_that_are_none(state: Path) -> None:
    unsealed(state, lambda numbers: numbers.update(seconds=float("nan")))


def a_switch_for_a_number(state: Path) -> None:
    unsealed(state, lambda numbers: numbers.update(tokens=True))


def deep_numbers(state: Path) -> None:
    (state / "state.json").write_text("[" * 100_000, encoding="utf-8")


def noise(state: Path) -> None:
    (state / "state.json").write_bytes(b"\xff\x00" * 100)


DAMAGES = [
    other_count,
    no_hashes,
    no_hash,
    hashes_of_another_kind,
    a_file_more,
    another_step,
    numbers_that_are_none,
    a_switch_for_a_number,
    deep_numbers,
    noise,
    cut_tensors,
    flip_one_bit,
    cut_numbers,
    drop_numbers,
    drop_tensors,
    other_numbers,
    a_list,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_a_damaged_state_the_one_before_is_taken(damage, tmp_path: Path) -> None:
    save_state(tmp_path, Progress(step=5), *moved(fresh()))
    save_state(tmp_path, Progress(step=10), *moved(moved(fresh())))
    damage(tmp_path / "state-00000010")
    model, optimizer = fresh(seed=1)
    progress, damaged = load_state(tmp_path, model, optimizer)
    assert progress.step == 5
    assert len(damaged) == 1
    assert damaged[0].startswith("state-00000010/state.")
    assert_same(model.state_dict(), moved(fresh())[0].state_dict())
    save_state(tmp_path, Progress(step=7), model, optimizer)
    assert state_names(tmp_path) == ["state-00000005", "state-00000007"]


def test_if_every_state_is_damaged_nothing_is_guessed(tmp_path: Path) -> None:
    save_state(tmp_path, Progress(step=5), *fresh())
    flip_one_bit(tmp_path / "state-00000005")
    with pytest.raises(CheckpointError, match=r"no state is whole: state-00000005/state\.safe"):
        load_state(tmp_path, *fresh())


def test_a_state_of_another_network_is_refused_in_one_line(tmp_path: Path) -> None:
    save_state(tmp_path, Progress(step=5), *fresh())
    model = tiny_model(tiny_config(image_layers=2))
    with pytest.raises(CheckpointError, match=r"state-00000005: its weights are not those") as info:
        load_state(tmp_path, model, build_optimizer(model, OptimConfig()))
    assert "\n" not in str(info.value)


def test_a_state_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Version 0.1 wrote one hash as a text, fewer numbers, and nothing of what lay beside."""
    save_state(tmp_path, Progress(step=5, tokens=8), *fresh())
    path = tmp_path / "state-00000005" / "state.json"
    numbers = json.loads(path.read_text(encoding="utf-8"))
    first = ("step", "tokens", "seconds", "best", "best_step", "bad_validations")
    old = {key: numbers[key] for key in first} | {"sha256": numbers["sha256"]["state.safetensors"]}
    path.write_text(json.dumps(old), encoding="utf-8")
    assert load_state(tmp_path, *fresh()) == (Progress(step=5, tokens=8), ())


@pytest.mark.parametrize("name", ["tokenizer.json", "start/config.toml", "start/tokenizer.json"])
@pytest.mark.parametrize("content", ["another", None])
def test_what_a_run_goes_on_with_is_what_it_was(
    name: str, content: str | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("first", encoding="utf-8")
    save_state(tmp_path, Progress(step=5), *fresh())
    save_state(tmp_path, Progress(step=10), *fresh())
    assert load_state(tmp_path, *fresh())[0].step == 10
    if content is None:
        path.unlink()
    else:
        path.write_text(content, encoding="utf-8")
    message = rf"{name}: has changed since state-00000010 was written; put back what was there"
    with pytest.raises(CheckpointError, match=message):
        load_state(tmp_path, *fresh())


def test_frozen_weights_of_another_run_are_refused(tmp_path: Path) -> None:
    for run, seed in (("one", 0), ("other", 1)):
        save_state(tmp_path / run, Progress(step=5), *frozen(seed))
    shutil.rmtree(tmp_path / "one" / "frozen")
    shutil.copytree(tmp_path / "other" / "frozen", tmp_path / "one" / "frozen")
    with pytest.raises(CheckpointError, match=r"frozen/state\.json: has changed since state-0000"):
        load_state(tmp_path / "one", *frozen())


def test_what_is_learnt_is_what_it_was(tmp_path: Path) -> None:
    save_state(tmp_path, Progress(step=5), *fresh(), {"examples/a": 100, "data/a": "00ff"})
    load_state(tmp_path, *fresh(), {"examples/a": 100, "data/a": "00ff", "new": 3})
    message = r"examples/a was 100 when state-00000005 was written, now is 120; put back the data"
    with pytest.raises(CheckpointError, match=message):
        load_state(tmp_path, *fresh(), {"examples/a": 120, "data/a": "00ff"})


def frozen(seed: int = 0) -> Trained:
    """A network of which only the decoder learns."""
    model = tiny_model(seed=seed)
    choose_trainable(model, ["decoder.*"])
    return model, build_optimizer(model, OptimConfig())


def test_what_does_not_learn_is_written_once(tmp_path: Path) -> None:
    model, optimizer = moved(frozen())
    save_state(tmp_path, Progress(step=5), model, optimizer)
    before = (tmp_path / "frozen" / "state.safetensors").stat().st_mtime_ns
    moved((model, optimizer))
    save_state(tmp_path, Progress(step=10), model, optimizer)
    assert (tmp_path / "frozen" / "state.safetensors").stat().st_mtime_ns == before
    learnt = load_file(tmp_path / "state-00000010" / "state.safetensors")
    rest = load_file(tmp_path / "frozen" / "state.safetensors")
    weights = {key.removeprefix("model.") for key in learnt if key.startswith("model.")}
    assert weights == {name for name, w in model.named_parameters() if w.requires_grad}
    assert {key.removeprefix("model.") for key in rest} == model.state_dict().keys() - weights
    other, its_optimizer = frozen(seed=1)
    load_state(tmp_path, other, its_optimizer)
    assert_same(other.state_dict(), model.state_dict())
    assert_same(by_name(other, its_optimizer), by_name(model, optimizer))


def test_frozen_weights_that_are_damaged_are_no_weights(tmp_path: Path) -> None:
    save_state(tmp_path, Progress(step=5), *frozen())
    flip_one_bit(tmp_path / "frozen")
    message = r"no state is whole: frozen/state\.safetensors: its hash is not that of state\.json; "
    with pytest.raises(CheckpointError, match=message):
        load_state(tmp_path, *frozen())


def test_frozen_weights_without_a_state_are_of_a_run_that_never_was(tmp_path: Path) -> None:
    save_state(tmp_path, Progress(step=5), *frozen())
    (tmp_path / "state-00000005").rename(tmp_path / "gone")
    assert load_state(tmp_path, *frozen())[0] == Progress()
    assert not (tmp_path / "frozen").exists()


def test_a_state_that_holds_all_weights_is_read(tmp_path: Path) -> None:
    """As states did before frozen weights were written apart."""
    model, optimizer = moved(frozen())
    save_state(tmp_path, Progress(step=5), model, optimizer)
    path = tmp_path / "state-00000005" / "state.safetensors"
    save_file({**load_file(path), **load_file(tmp_path / "frozen" / path.name)}, path)
    whole = {"step": 5, "sha256": hash_file(path)}
    (path.parent / "state.json").write_text(json.dumps(whole), encoding="utf-8")
    (tmp_path / "frozen").rename(tmp_path / "gone")
    other, its_optimizer = frozen(seed=1)
    load_state(tmp_path, other, its_optimizer)
    assert_same(other.state_dict(), model.state_dict())
