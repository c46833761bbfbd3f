"""A bot that answers in milliseconds and sees four stripes in a picture."""

from pathlib import Path

import pytest

from openmmb.chat.bot import Bot
from openmmb.checkpoint import Checkpoint
from openmmb.safety.guard import GuardConfig, open_guard
from openmmb.vision.encoders import ENCODERS, Entry
from tests.build import TINY_F, TINY_I, TinyEncoder, plain_engine, tiny_checkpoint, tiny_image


@pytest.fixture
def checkpoint() -> Checkpoint:
    """The bot's; changing its weights changes what the bot says."""
    return tiny_checkpoint(encoder="tiny", image_vectors=TINY_I, image_dim=TINY_F)


@pytest.fixture
def bot(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Bot:
    monkeypatch.setitem(ENCODERS, "tiny", Entry(lambda _: TinyEncoder(), (TINY_I, TINY_F), "none"))
    return Bot(plain_engine(checkpoint), guard=open_guard(GuardConfig(classifier="none")))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a boat.png"
    tiny_image().save(path)
    return path
