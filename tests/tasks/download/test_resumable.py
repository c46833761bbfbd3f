"""A download ends with the whole right file and nothing else, or with one line and no file."""

import hashlib
import itertools
import shutil
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openmmb.errors import DataError
from openmmb.tasks.download import resumable
from openmmb.tasks.download.pace import Pace, TooSlowError
from openmmb.tasks.download.resumable import (
    ATTEMPTS,
    MissingError,
    UnreachableError,
    digest_of,
    download,
    receive,
)
from tests.tasks.download.server import (
    Fault,
    Site,
    answer,
    begin_headers,
    drop_at,
    hang_up,
    ignore_range,
    keep_silent,
    redirect_to,
    say,
    without_length,
)

CONTENT = bytes(range(256)) * 40
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Fetch:
    """A download from a server into a folder, with what was waited for between attempts."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.path = site, folder / "file"
        self.partial = folder / "file.partial"
        self.waited: list[float] = []
        site.files["/file"] = CONTENT

    def __call__(self, *faults: Fault, limit: int = 10**6, digest: str = DIGEST) -> None:
        self.site.faults["/file"] = list(faults)
        download(f"{self.site.url}/file", self.path, digest, limit=limit, wait=self.waited.append)

    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.site.requests]


@pytest.fixture
def fetch(site: Site, tmp_path: Path) -> Fetch:
    return Fetch(site, tmp_path)


def test_a_file_comes_whole(fetch: Fetch) -> None:
    fetch()
    assert fetch.path.read_bytes() == CONTENT
    assert not fetch.partial.exists()
    assert (fetch.ranges(), fetch.waited) == ([None], [])


def test_progress_tells_bytes(site: Site, tmp_path: Path) -> None:
    site.files["/file"] = CONTENT
    told: list[tuple[int, int]] = []
    download(
        f"{site.url}/file",
        tmp_path / "file",
        DIGEST,
        limit=10**6,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("fault", [drop_at(4000), without_length, ignore_range])
def test_a_transfer_that_breaks_off_goes_on_where_it_was(fetch: Fetch, fault: Fault) -> None:
    fetch(drop_at(1000), fault)
    assert fetch.path.read_bytes() == CONTENT
    assert fetch.ranges()[:2] == [None, "bytes=1000-"]
    assert set(fetch.waited) == {1.0}


def test_what_an_earlier_run_left_is_gone_on_with(fetch: Fetch) -> None:
    fetch.partial.write_bytes(CONTENT[:77])
    fetch()
    assert fetch.path.read_bytes() == CONTENT
    assert fetch.ranges() == ["bytes=77-"]


def test_a_whole_file_that_was_not_yet_checked_is_not_fetched_again(fetch: Fetch) -> None:
    fetch.partial.write_bytes(CONTENT)
    fetch()
    assert fetch.path.read_bytes() == CONTENT
    assert fetch.ranges() == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("left", [b"x" * 50, b"x" * 99_999])
def test_what_another_file_left_is_thrown_away(fetch: Fetch, left: bytes) -> None:
    fetch.partial.write_bytes(left)
    fetch()
    assert fetch.path.read_bytes() == CONTENT
    assert fetch.ranges() == [f"bytes={len(left)}-", None]


def test_another_content_is_refused_and_not_kept(fetch: Fetch) -> None:
    wrong = f"sha256:{'0' * 64}"
    with pytest.raises(DataError, match=rf"/file: its content has {DIGEST}, expected {wrong}"):
        fetch(digest=wrong)
    assert not fetch.path.exists()
    assert not fetch.partial.exists()
    assert len(fetch.site.requests) == 1


@pytest.mark.parametrize(
    ("status", "error"), [(403, MissingError), (404, MissingError), (410, MissingError)]
)
def test_a_file_that_the_server_lacks_is_missing(
    fetch: Fetch, status: int, error: type[DataError]
) -> None:
    with pytest.raises(error, match=rf"/file: the server says {status} "):
        fetch(say(status))
    assert (len(fetch.site.requests), fetch.waited) == (1, [])


def test_another_refusal_is_told(fetch: Fetch) -> None:
    with pytest.raises(DataError, match=r"/file: the server says 400 Bad Request$"):
        fetch(say(400))


def test_a_busy_server_is_asked_again_after_longer_and_longer(fetch: Fetch) -> None:
    fetch(say(503), hang_up, say(429))
    assert fetch.path.read_bytes() == CONTENT
    assert fetch.waited == [1.0, 2.0, 4.0]


def test_a_server_that_brings_nothing_new_is_given_up(fetch: Fetch) -> None:
    with pytest.raises(
        UnreachableError, match=r"/file: .*, 5 times in a row; 900 bytes are kept to go on with"
    ):
        fetch(*[drop_at(900)] * 20)
    assert len(fetch.site.requests) == 1 + ATTEMPTS - 1
    assert fetch.partial.read_bytes() == CONTENT[:900]


def test_a_server_that_brings_a_little_each_time_is_not_given_up(fetch: Fetch) -> None:
    fetch(*[drop_at(100 * at) for at in range(1, 3 * ATTEMPTS)])
    assert fetch.path.read_bytes() == CONTENT


def test_a_silent_server_is_asked_again(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "TIMEOUT_S", 0.5)
    fetch(keep_silent)
    assert fetch.path.read_bytes() == CONTENT
    assert fetch.waited == [1.0]
    with pytest.raises(UnreachableError, match=r"/file: no answer for .* s, 5 times in a row$"):
        fetch(*[keep_silent] * ATTEMPTS)


def slow_clock(step: float) -> Callable[[], float]:
    """A clock on which every answer of a server takes long."""
    return itertools.count(0.0, step).__next__


@pytest.mark.parametrize("fault", [ignore_range, without_length, begin_headers])
def test_a_server_that_brings_next_to_nothing_is_given_up(
    fault: Fault, site: Site, tmp_path: Path
) -> None:
    """However often it brings a byte: what it brings counts by the minute."""
    site.files["/file"] = CONTENT
    site.faults["/file"] = [fault] * 99
    waited: list[float] = []
    with pytest.raises(UnreachableError, match="fewer than 1024 bytes a second, 5 times in a row"):
        receive(
            f"{site.url}/file",
            tmp_path / "file",
            limit=10**6,
            wait=waited.append,
            pace=Pace(clock=slow_clock(61.0)),
        )
    assert waited == [1.0, 2.0, 4.0, 8.0]


def test_a_transfer_has_a_longest_time(site: Site, tmp_path: Path) -> None:
    site.files["/file"] = CONTENT
    site.faults["/file"] = [drop_at(100 * at) for at in range(1, 99)]
    with pytest.raises(UnreachableError, match=r"file: not done after 100 s; \d+ bytes are kept"):
        receive(
            f"{site.url}/file",
            tmp_path / "file",
            limit=10**6,
            wait=lambda _: None,
            pace=Pace(100.0, clock=slow_clock(10.0)),
        )


def test_a_slow_window_is_one_that_lasts() -> None:
    times = iter([0.0, 0.0, 0.0, 59.0, 60.0, 119.0, 120.0])
    pace = Pace(clock=lambda: next(times))
    pace.begin()
    pace.count(0)
    pace.count(61_440)
    pace.count(61_439)
    with pytest.raises(TooSlowError):
        pace.count(0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"Content-Length: {'9' * 5000}", "its length is a number of 5000 digits"),
        (f"Content-Length: {'9' * 18}", "bytes, but .* left"),
        ("Content-Length: -5", "its content has"),
        ("Content-Length: ten", "its content has"),
    ],
)
def test_a_length_that_is_none_is_one_line(fetch: Fetch, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as info:
        fetch(*[answer(line)] * 9)
    assert "\n" not in str(info.value)
    assert len(str(info.value)) < 500


def test_a_range_that_nobody_asked_for_is_one_line(fetch: Fetch) -> None:
    with pytest.raises(DataError, match="file: the server says 416"):
        fetch(say(416))


@pytest.mark.parametrize("address", ["http://[::1", "http://h:99999999999999", "http://\x01/"])
def test_a_redirect_to_no_address_is_one_line(fetch: Fetch, address: str) -> None:
    with pytest.raises(DataError, match=r"/file: ") as info:
        fetch(*[redirect_to(address)] * 9)
    assert "\n" not in str(info.value)


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_servers(fetch: Fetch) -> None:
    fetch.partial.mkdir()
    with pytest.raises(IsADirectoryError):
        fetch()
    assert fetch.waited == []


def test_a_certificate_that_does_not_hold_is_not_tried_again(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(UnreachableError, match=r"/file: certificate has expired$"):
        fetch()
    assert fetch.waited == []


def test_no_server_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/file"
        with pytest.raises(UnreachableError, match=r"/file: Connection refused, 5 times in a row$"):
            download(url, tmp_path / "file", DIGEST, limit=1, wait=lambda _: None)


def test_no_network_is_one_line_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    with pytest.raises(UnreachableError, match=r"x/f: Temporary failure .*; is this machine onl"):
        download("http://data.invalid/x/f", tmp_path / "f", DIGEST, limit=1, wait=_never)


def _never(seconds: float) -> None:
    raise AssertionError(f"waited {seconds} s")


def test_a_redirect_may_not_lead_to_a_file_of_this_machine(fetch: Fetch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    with pytest.raises(DataError, match=r"/file: the server says 302 "):
        fetch(redirect_to(secret.as_uri()))
    with pytest.raises(DataError, match=r"unknown url type"):
        download(secret.as_uri(), fetch.path, DIGEST, limit=10**6)
    assert not fetch.path.exists()


def test_a_redirect_to_another_server_is_followed(fetch: Fetch) -> None:
    fetch.site.files["/elsewhere"] = CONTENT
    fetch(redirect_to(f"{fetch.site.url}/elsewhere"))
    assert fetch.path.read_bytes() == CONTENT


@pytest.mark.parametrize("faults", [(), (without_length,)])
def test_more_than_the_limit_is_not_fetched(fetch: Fetch, faults: tuple[Fault, ...]) -> None:
    with pytest.raises(DataError, match=r"/file: 10240 bytes; expected at most 9000"):
        fetch(*faults, limit=9000)
    assert not fetch.partial.exists()


def test_a_disk_that_is_too_small_is_named(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(DataError, match=r"/file: 10240 bytes, but .* has 10 left"):
        fetch()


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.one_of(
            st.builds(drop_at, st.integers(0, len(CONTENT))),
            st.sampled_from([say(500), hang_up, ignore_range]),
        ),
        max_size=ATTEMPTS - 1,
    )
)
def test_whatever_happens_meanwhile_the_file_is_the_same(
    site: Site, tmp_path: Path, faults: list[Fault]
) -> None:
    fetch = Fetch(site, tmp_path)
    fetch.path.unlink(missing_ok=True)
    fetch(*faults)
    assert fetch.path.read_bytes() == CONTENT
    assert not fetch.partial.exists()


def test_digests_are_those_of_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    assert digest_of(path, "git") == "git:ce013625030ba8dba906f756967f9e9ca394464a"
    assert digest_of(path, "sha256") == (
        "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    )
    with pytest.raises(ValueError, match="digest must be sha256 or git, got 'md5'"):
        digest_of(path, "md5")
