"""Every test starts from the same chance, and none is timed: a machine may be slow."""

import torch
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_runtest_setup() -> None:
    torch.manual_seed(0)
