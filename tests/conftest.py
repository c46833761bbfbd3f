"""Every test starts from the same chance, needs no network, and none is timed."""

import os

import torch
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"  # read when its client is imported
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_runtest_setup() -> None:
    torch.manual_seed(0)
