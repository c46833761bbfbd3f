"""The two stored models, converted once."""

from pathlib import Path

import pytest

from openmmb.checkpoint import Checkpoint, load_checkpoint
from openmmb.convert.parlai import convert
from tests.convert.build import DATA, copy_micro


@pytest.fixture(scope="session")
def micro(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The smallest model."""
    return converted(DATA / "micro", tmp_path_factory.mktemp("micro") / "out")


@pytest.fixture(scope="session")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The one whose words all begin with a space, so that ParlAI can write what it says."""
    folder = tmp_path_factory.mktemp("chat")
    return converted(copy_micro(folder / "in", weights="chat"), folder / "out")


def converted(source: Path, out: Path) -> Checkpoint:
    """Convert and load."""
    convert(source, out)
    return load_checkpoint(out)
