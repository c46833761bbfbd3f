"""The loop trains any objective, validates and ends when it is told, and loses nothing."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn

from openmmb.config import dump
from openmmb.errors import ConfigError, TrainingError
from openmmb.training.run.config import OptimConfig, RunConfig, ScheduleConfig, ValidConfig
from openmmb.training.run.counters import Progress
from openmmb.training.run.log import Record, Watch
from openmmb.training.run.loop import TrainingResult
from openmmb.training.run.loop import run as run_prepared
from openmmb.training.run.run_folder import locked
from openmmb.training.run.state import load_state, save_state
from openmmb.training.run.update import MAX_SKIPPED
from openmmb.training.train import train
from tests.training.build import records, tiny_recipe
from tests.training.run.line import Line, Points, line_config

NO_WARMUP = ScheduleConfig(kind="constant", warmup_steps=0)


def settings(folder: Path, out: str = "run") -> RunConfig:
    return line_config(folder / out)


def run(
    line: Line, config: RunConfig, *, watch: Watch = lambda _: None, workers: int = 0
) -> TrainingResult:
    return run_prepared(lambda: line, config, watch=watch, workers=workers)


def valid_steps(folder: Path) -> list[int]:
    return [record["step"] for record in records(folder, "valid")]


def test_any_objective_is_learnt(tmp_path: Path) -> None:
    line, asked = Line(), settings(tmp_path)
    seen: list[Record] = []
    result = run(
        line, replace(asked, schedule=replace(NO_WARMUP, max_steps=200)), watch=seen.append
    )
    assert result.folder == tmp_path / "run"
    assert result.checkpoint == tmp_path / "run" / "checkpoint"
    assert (result.checkpoint / "line.txt").exists()
    assert (result.reason, result.steps) == ("all steps done", 200)
    assert result.best == seen[-1]["best"]
    torch.testing.assert_close(line.model.weight, torch.tensor([[3.0, -1.0]]), atol=0.1, rtol=0)
    assert seen[0] == {"kind": "note", "step": 0, "text": "it learns a line"}
    assert seen[1] == {"kind": "start", "step": 0, "max_steps": 200, "steps_per_epoch": 4.0}
    assert {"error", "best", "step", "tokens", "seconds", "kind"} == set(
        next(record for record in seen if record["kind"] == "valid")
    )
    assert seen[-1]["reason"] == "all steps done"


class Late(Line):
    """An objective that sees how many processes there are when its network is built."""

    seen: ClassVar[list[int]] = []

    def build(self) -> torch.nn.Linear:
        Late.seen.append(len(multiprocessing.active_children()))
        return super().build()


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@dataclass(frozen=True)
class Noisy(Line):
    """A line that is learnt with noise, as dropout is one."""

    noise: list[float] = field(default_factory=list)

    def loss(self, model: nn.Linear, batch: Points) -> tuple[torch.Tensor, int]:
        if model.training:
            self.noise.append(torch.rand(()).item())
        return super().loss(model, batch)


def test_each_update_draws_noise_of_its_own_and_a_resumed_one_the_same(tmp_path: Path) -> None:
    whole, begun, resumed = Noisy(), Noisy(), Noisy()
    run(whole, settings(tmp_path))
    assert len(set(whole.noise)) == len(whole.noise) == 2 * 20  # two batches an update

    def stop(record: Record) -> None:
        if record["kind"] == "valid":
            os.kill(os.getpid(), signal.SIGTERM)

    assert run(begun, settings(tmp_path, "other"), watch=stop).steps == 5
    run(resumed, settings(tmp_path, "other"))
    assert [*begun.noise, *resumed.noise] == whole.noise


def test_processes_that_make_batches_are_there_before_the_network(tmp_path: Path) -> None:
    line = Late()
    Late.seen.clear()
    run(line, settings(tmp_path), workers=2)
    assert Late.seen == [2]
    assert multiprocessing.active_children() == []
    run(Line(), settings(tmp_path, "alone"))
    assert records(tmp_path / "run", "valid") == records(tmp_path / "alone", "valid")


def test_who_does_not_count_tokens_has_no_padding(tmp_path: Path) -> None:
    run(Line(), settings(tmp_path))
    steps = records(tmp_path / "run", "step")
    assert len(steps) == 2
    assert not any("padding" in record for record in steps)


def test_the_best_score_is_the_lowest(tmp_path: Path) -> None:
    line = Line(scores=[5.0, 7.0, 3.0, 4.0])
    run(line, settings(tmp_path))
    end = records(tmp_path / "run", "end")[0]
    assert end["best"] == 3.0
    kept = (tmp_path / "run" / "checkpoint" / "line.txt").read_text("utf-8")
    assert kept != str(line.model.weight.tolist())  # that of step 15, not of step 20


def test_epochs_may_say_when_to_validate(tmp_path: Path) -> None:
    every = ValidConfig(every_epochs=0.75, patience=100)  # 3 updates
    run(Line(), replace(settings(tmp_path), valid=every))
    assert valid_steps(tmp_path / "run") == [3, 6, 9, 12, 15, 18, 20]


def test_seconds_may_say_when_to_validate_and_when_to_end(tmp_path: Path) -> None:
    asked = replace(
        settings(tmp_path),
        valid=ValidConfig(every_seconds=0.05, patience=10**6),
        schedule=replace(NO_WARMUP, max_steps=10**6, max_seconds=0.2),
    )
    run(Line(), asked)
    end = records(tmp_path / "run", "end")[0]
    assert end["reason"] == "all time used"
    assert 3 <= len(valid_steps(tmp_path / "run")) <= 5  # at each twentieth, and at the end
    assert valid_steps(tmp_path / "run")[-1] == end["step"] < 10**6
    run(Line(), asked)
    assert [record["step"] for record in records(tmp_path / "run", "end")] == [end["step"]] * 2


def test_on_a_plateau_the_rate_falls_and_a_stopped_run_knows(tmp_path: Path) -> None:
    """Of the validations at 10, 20, ... the first is in the warm-up."""
    scores = [1.0, 5.0, 4.0, 4.0, 4.5, 3.9999, 4.0, 9.0]
    asked = replace(
        settings(tmp_path),
        optim=OptimConfig(lr=0.1, max_grad_norm=100.0),
        schedule=ScheduleConfig(
            kind="plateau", warmup_steps=10, max_steps=80, patience=1, decay=0.5
        ),
        valid=ValidConfig(every_steps=10, patience=100),
    )

    def ask(record: Record) -> None:
        if record["kind"] == "valid" and record["step"] == 50:
            os.kill(os.getpid(), signal.SIGTERM)

    run(Line(scores=scores[:5]), asked, watch=ask)
    assert records(tmp_path / "run")[-1]["reason"] == "stopped"
    run(Line(scores=scores[5:]), asked)
    # 5 is the best, 4 is; 4 and 4.5 are one too many, and 3.9999 is no better; 4 one too many.
    rates = [record["lr"] for record in records(tmp_path / "run", "step")]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025])


def test_one_bad_update_is_left_out(tmp_path: Path) -> None:
    run(Line(bad_steps=(3, 4)), settings(tmp_path))
    assert [record["in_a_row"] for record in records(tmp_path / "run", "skip")] == [1, 2]
    assert records(tmp_path / "run", "end")[0]["tokens"] == 18 * 12


def test_ten_bad_updates_in_a_row_are_the_end(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"run: step 15: loss or gradient were not finite 10"):
        run(Line(bad_steps=range(5, 100)), settings(tmp_path))
    assert len(records(tmp_path / "run", "skip")) == MAX_SKIPPED


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_run_whose_validations_are_no_numbers_ends_with_an_error(
    score: float, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=rf"run: step 5: the validation gave {score}, and ther"):
        run(Line(scores=[score] * 9), settings(tmp_path))
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_after_a_checkpoint_a_validation_that_is_no_number_is_only_a_bad_one(
    tmp_path: Path,
) -> None:
    result = run(Line(scores=[3.0, float("nan"), 2.0, float("nan")]), settings(tmp_path))
    assert (result.reason, result.best) == ("all steps done", 2.0)


def test_a_fp16_loss_that_is_scaled_too_high_is_not_the_runs_fault(tmp_path: Path) -> None:
    """Errors of 1e5 times 128 are no numbers of fp16; halves of it are, some updates later."""
    line = Line()
    torch.nn.init.constant_(line.model.bias, 1e4)
    asked = replace(settings(tmp_path), precision="fp16", memory_efficient=True)
    run(line, replace(asked, schedule=replace(NO_WARMUP, max_steps=40)))
    skips = records(tmp_path / "run", "skip")
    assert len(skips) > 2
    assert [skip["scale"] for skip in skips] == [128 / 2**place for place in range(len(skips))]
    assert {skip["in_a_row"] for skip in skips} == {0}
    assert skips[-1]["step"] == len(skips)


def test_a_fp16_loss_that_is_no_number_ends_the_run_all_the_same(tmp_path: Path) -> None:
    asked = replace(settings(tmp_path), precision="fp16")
    asked = replace(asked, schedule=replace(NO_WARMUP, max_steps=100))
    with pytest.raises(TrainingError, match=r"step 31: loss or gradient were not finite 10 times"):
        run(Line(bad_steps=range(100)), asked)


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    other = (
        "from pathlib import Path; from openmmb.training.run.run_folder import locked; import sys\n"
    )
    other += "with locked(Path(sys.argv[1])): print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", other, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(
            ConfigError, match=r"^out: .*run: another run is using this folder; wait"
        ):
            run(Line(), settings(tmp_path))
        assert not (tmp_path / "run" / "recipe.toml").exists()
        process.kill()
    run(Line(), settings(tmp_path))
    with locked(tmp_path / "run"):
        pass


LIMITED = """
import resource, sys
from openmmb.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), -1))
sys.exit(main(sys.argv[2:]))
"""
"""A command on a disk that takes no more than so many bytes a file."""


def test_on_a_full_disk_a_run_ends_with_one_line_and_keeps_its_state(tmp_path: Path) -> None:
    """The limit takes the checkpoint, in fp16, but not the state."""
    recipe = tiny_recipe(tmp_path, max_steps=30, valid_every_steps=5)

    def ask(record: Record) -> None:
        if record["kind"] == "step" and record["step"] == 10:
            os.kill(os.getpid(), signal.SIGTERM)

    train(recipe, watch=ask)
    folder = Path(recipe.out)
    before = (folder / "state-00000010" / "state.safetensors").read_bytes()
    (tmp_path / "recipe.toml").write_text(dump(recipe), encoding="utf-8")
    command = [sys.executable, "-c", LIMITED, "100000", "train", str(tmp_path / "recipe.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 2, done.stderr
    assert last.startswith(f"openmmb train: {folder}/state-00000020: cannot be written: ")
    assert last.endswith("make room, and the same command goes on from the last state")
    assert "File too large" in last
    assert (folder / "state-00000010" / "state.safetensors").read_bytes() == before
    assert not (folder / "state.partial").exists()
    straight = train(replace(recipe, out=str(tmp_path / "straight"))).folder
    train(recipe)
    for name in ("state-00000030/state.safetensors", "checkpoint/model.safetensors"):
        assert (folder / name).read_bytes() == (straight / name).read_bytes()


class NoRoom(Line):
    """An objective whose checkpoint no disk takes."""

    def save(self, model: torch.nn.Linear, folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "line.txt"))


def test_a_checkpoint_that_finds_no_room_is_one_line_too(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"^\S*/checkpoint: cannot be written: No space left on"
    ):
        run(NoRoom(), settings(tmp_path))


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 256 KB of its own; skips where none can be made."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_full_keeps_what_it_has(small_disk: Path) -> None:
    big = torch.nn.Linear(100, 100)
    save_state(small_disk, Progress(step=1), big, torch.optim.SGD(big.parameters()))
    state = small_disk / "state-00000001"
    (small_disk / "ballast").write_bytes(bytes(180_000))
    with pytest.raises(TrainingError, match=r"state-00000002: cannot be written: .*[Nn]o space"):
        save_state(small_disk, Progress(step=2), big, torch.optim.SGD(big.parameters()))
    assert {path.name for path in small_disk.iterdir()} == {"ballast", state.name}
    progress, damaged = load_state(small_disk, big, torch.optim.SGD(big.parameters()))
    assert (progress.step, damaged) == (1, ())


def test_what_is_written_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    line = Line()
    save_state(tmp_path, Progress(step=1), line.model, torch.optim.SGD(line.model.parameters()))
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "state-00000001").iterdir()}
    (tmp_path / "usual").touch()
    assert modes == {(tmp_path / "usual").stat().st_mode & 0o777}
