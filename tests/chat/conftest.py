"""A bot that answers in milliseconds and sees four stripes in a picture."""

from pathlib import Path

import pytest

from openmmb.chat.bot import Bot
from openmmb.safety.guard import GuardConfig, open_guard
from openmmb.vision.encoders import ENCODERS, Entry
from tests.build import TINY_F, TINY_I, TinyEncoder, tiny_checkpoint, tiny_image


@pytest.fixture
def bot(monkeypatch: pytest.MonkeyPatch) -> Bot:
    monkeypatch.setitem(ENCODERS, "tiny", Entry(lambda _: TinyEncoder(), (TINY_I, TINY_F), "none"))
    checkpoint = tiny_checkpoint(encoder="tiny", image_vectors=TINY_I, image_dim=TINY_F)
    return Bot(checkpoint, guard=open_guard(GuardConfig(classifier="none")))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a boat.png"
    tiny_image().save(path)
    return path
