"""Every picture is one rank's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.errors import ConfigError
from openmmb.vision.features.share import WHOLE, Share, environment_share


@given(st.text(), st.integers(1, 9))
def test_each_picture_is_in_one_share(image_id: str, of: int) -> None:
    assert sum(image_id in Share(rank, of) for rank in range(of)) == 1
    assert image_id in WHOLE


@pytest.mark.parametrize("of", [2, 3, 8])
def test_shares_are_about_as_large_and_so_is_what_is_left_of_one(of: int) -> None:
    ids = [f"{number}.jpg" for number in range(6000)]
    for part in (ids, [image_id for image_id in ids if image_id in Share(1, 2 * of)]):
        sizes = [sum(image_id in Share(rank, of) for image_id in part) for rank in range(of)]
        assert min(sizes) > 0.7 * len(part) / of


@pytest.mark.parametrize(("rank", "of"), [(-1, 2), (2, 2), (0, 0)])
def test_other_ranks_are_refused(rank: int, of: int) -> None:
    with pytest.raises(ValueError, match=f"rank must be from 0 to {of - 1}, got {rank}"):
        Share(rank, of)


def test_the_environment_says_which_share(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert environment_share() == WHOLE
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(ConfigError, match=r"RANK and WORLD_SIZE: rank must be from 0 to 0, got 2"):
        environment_share()
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert environment_share() == Share(2, 4)
    monkeypatch.setenv("WORLD_SIZE", "four")
    with pytest.raises(ConfigError, match=r"WORLD_SIZE: expected a whole number, got 'four'"):
        environment_share()
