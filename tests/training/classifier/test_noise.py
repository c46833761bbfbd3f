"""Noise changes how a text is typed, by its key alone, and leaves what it says readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.safety.guard import GuardConfig, open_guard
from openmmb.training.classifier.noise import NoiseConfig, add_noise

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SHARES = st.sampled_from([0.0, 0.5, 1.0])
CONFIGS = st.builds(NoiseConfig, mentions=SHARES, marks=SHARES, misspelled=SHARES, disguised=SHARES)
NONE = NoiseConfig(mentions=0, marks=0, misspelled=0, disguised=0)


@given(TEXTS, CONFIGS, st.integers(0, 99))
def test_the_same_key_gives_the_same_noise(text: str, config: NoiseConfig, seed: int) -> None:
    assert add_noise(text, config, seed) == add_noise(text, config, seed)


@given(TEXTS, st.integers(0, 99))
def test_without_noise_a_text_stays_as_it_is(text: str, seed: int) -> None:
    assert add_noise(text, NONE, seed) == text


def noisy(text: str, config: NoiseConfig) -> set[str]:
    return {add_noise(text, config, seed) for seed in range(60)}


def test_names_and_marks_are_left_out() -> None:
    left_out = NoiseConfig(mentions=1, marks=1, misspelled=0, disguised=0)
    assert noisy("@user look at #this one!!", left_out) == {" look at this one"}


def test_a_misspelled_word_begins_as_it_did() -> None:
    misspelled = NoiseConfig(mentions=0, marks=0, misspelled=1, disguised=0)
    found = noisy("a house", misspelled)
    assert len(found) > 5
    assert all(text.startswith("a h") for text in found)


def test_a_disguised_word_is_still_found_by_the_guard() -> None:
    disguised = NoiseConfig(mentions=0, marks=0, misspelled=0, disguised=1)
    guard = open_guard(GuardConfig(classifier="none"))
    found = noisy("you are an idiot", disguised)
    assert len(found) > 5
    caught = [text for text in found if not guard.judge(text).safe]
    assert len(caught) > len(found) / 2


def test_shares_are_from_0_to_1() -> None:
    with pytest.raises(ValueError, match=r"mentions must be from 0 to 1, got 1\.5"):
        NoiseConfig(mentions=1.5)
