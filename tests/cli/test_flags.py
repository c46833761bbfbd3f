"""A flag that several commands have means the same in each, and says the same where it is wrong."""

from pathlib import Path
from typing import get_args

import pytest
import torch

from openmmb.cli import main
from openmmb.cli.flags import EngineKind
from openmmb.engine.open import KINDS
from tests.build import tiny_image

COMMANDS: dict[str, tuple[str, ...]] = {
    "chat": (),
    "reply": ("Hi!",),
    "evaluate": ("tiny", "--tasks", "written", "--split", "train", "--no-replies"),
    "features": ("efficientnet_lite0", "--images", "pictures", "--out", "vectors"),
    "train": ("tiny-1-text",),
}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_device_that_is_not_there_is_one_sentence_in_every_command(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    (tmp_path / "pictures").mkdir()
    tiny_image().save(tmp_path / "pictures" / "a.png")
    assert main([command, *COMMANDS[command], "--device", "cuda"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        f"openmmb {command}: device: no graphics card for process 0 of this machine, PyTorch sees "
        "0; use 'cpu'\n"
    )


def test_every_kind_of_engine_can_be_asked_for() -> None:
    assert get_args(EngineKind) == KINDS
