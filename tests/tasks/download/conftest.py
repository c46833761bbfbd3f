"""A web server for the tests of downloads."""

from collections.abc import Iterator

import pytest

from tests.tasks.download.server import Site, serve


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server on this machine, which is asked directly."""
    monkeypatch.setenv("no_proxy", "*")
    with serve() as site:
        yield site
