"""Freed memory is kept and given back where the C library knows how; elsewhere nothing is done."""

import platform

import pytest

from openmmb.training.run.memory import give_back_memory, keep_freed_memory


@pytest.mark.parametrize("library", [platform.libc_ver()[0], "musl"])
def test_it_runs_everywhere(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: (library, "1"))
    keep_freed_memory()
    give_back_memory()
