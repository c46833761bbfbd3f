"""A checkpoint that is pushed by a command is talked to by its name on the hub."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from openmmb.checkpoint import save_checkpoint
from openmmb.cli import main
from tests.build import tiny_checkpoint
from tests.hub_server import serve


def test_a_checkpoint_is_pushed_and_replies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "mine", precision="fp32")
    with serve(monkeypatch, tmp_path / "cache") as server:
        settings = {"HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path)}

        def run(*args: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "openmmb", *args],
                env=os.environ | settings,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )

        listed = run("push", "mine", "org/mine", "--dry-run")
        names = [line.partition(": ")[0] for line in listed.stdout.splitlines()]
        assert names == ["mine/config.toml", "mine/model.safetensors", "mine/tokenizer.json"]
        assert server.models == {}
        pushed = run("push", "mine", "org/mine", "--private")
        assert (pushed.returncode, pushed.stdout) == (0, f"{server.url}/org/mine\n")
        assert server.private == {"org/mine"}
        replies = [run("reply", "Hi", name, "--no-guard") for name in ("mine", "org/mine")]
        assert [reply.returncode for reply in replies] == [0, 0], replies
        assert replies[0].stdout == replies[1].stdout
        refused = run("reply", "Hi", "org/none")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.startswith(
            "openmmb reply: org/none: no such folder here, and no such"
        )


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "mine", precision="fp32")
    for args, message in (
        ((str(tmp_path / "mine"), "mine"), "mine: expected ORG/NAME"),
        ((str(tmp_path), "org/mine"), "no config.toml; expected a checkpoint folder"),
        ((str(tmp_path / "mine"), "org/mine"), "org/mine: cannot be written, and the Hugging Face"),
    ):
        assert main(["push", *args]) == 2
        shown = capsys.readouterr()
        assert (shown.out, shown.err.count("\n")) == ("", 1)
        assert message in shown.err
