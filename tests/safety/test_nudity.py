"""A picture that is likely nudity is refused with score and reason, and only where asked for."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openmmb.errors import ConfigError
from openmmb.safety.answers import reason
from openmmb.safety.guard import GuardConfig, open_guard
from openmmb.safety.nudity import (
    PictureCheck,
    has_picture_guard,
    open_picture_check,
    prepare,
)


@dataclass
class Fixed:
    """A network that says the same of every picture."""

    score: float

    def get_inputs(self) -> Sequence[Any]:
        return [SimpleNamespace(name="input")]

    def run(self, _: None, inputs: dict[str, Any]) -> list[Any]:
        assert inputs["input"].shape == (1, 224, 224, 3)
        return [np.array([[1 - self.score, self.score]], dtype=np.float32)]


def photograph() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((320, 240))


def test_a_picture_is_refused_from_the_threshold_on() -> None:
    refused = PictureCheck(Fixed(0.5), threshold=0.5)(photograph())
    assert (refused.safe, refused.check, refused.category) == (False, "pictures", "nudity")
    assert reason(refused) == "it looks like nudity (50%)"
    assert PictureCheck(Fixed(0.49), threshold=0.5)(photograph()).safe


@pytest.mark.parametrize("threshold", [0, -1, 1.01])
def test_a_threshold_is_a_probability(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        PictureCheck(Fixed(0.5), threshold=threshold)


def test_pixels_are_blue_first_with_the_means_taken_off() -> None:
    red = prepare(Image.new("RGB", (300, 200), (255, 0, 0)))
    assert red.shape == (224, 224, 3)
    assert red[100, 100] == pytest.approx([-104, -117, 255 - 123], abs=3)  # JPEG rounds


def test_pictures_are_not_judged_unless_asked_for() -> None:
    guard = open_guard(GuardConfig(classifier="none"))
    assert guard.judge_picture(photograph()).check == ""
    assert guard.judge_picture(photograph()).safe


def test_what_is_not_installed_is_said_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    assert not has_picture_guard()
    with pytest.raises(ConfigError, match=r"picture-guard"):
        open_picture_check()
    lenient = open_guard(GuardConfig(classifier="none", pictures="installed"))
    assert lenient.pictures is None
    with pytest.raises(ConfigError, match=r"picture-guard"):
        open_guard(GuardConfig(classifier="none", pictures="on"))


def test_the_published_network_finds_a_harmless_picture_harmless() -> None:
    guard = open_guard(GuardConfig(classifier="none", pictures="installed"))
    verdict = guard.judge_picture(photograph())
    assert (verdict.safe, verdict.check) == (True, "pictures")
    assert 0 <= verdict.score < 0.5
