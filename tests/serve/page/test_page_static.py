"""The page is a handful of files that ask for nothing from elsewhere and run nothing inline."""

import re
from importlib import resources
from pathlib import Path

import pytest
from playwright.sync_api import Request

from tests.serve.page.conftest import OpenPage, say

PAGE = Path(str(resources.files("openmmb.serve") / "page"))
FILES = sorted(path for path in PAGE.rglob("*") if path.is_file())
MAX_LINES = 400


def name_of(path: Path) -> str:
    return path.relative_to(PAGE).as_posix()


def test_the_page_comes_with_the_package() -> None:
    assert {"index.html", "icon.svg", "js/main.js", "css/base.css"} <= {name_of(p) for p in FILES}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_short_and_names_nothing_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert set(re.findall(r"https?://[\w./]+", text)) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix in (".js", ".html")], ids=name_of)
def test_nothing_is_written_as_html_or_run_as_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
    assert re.findall(sinks, text) == []
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=\"", text) == []


def test_every_file_is_used() -> None:
    texts = {name_of(path): path.read_text(encoding="utf-8") for path in FILES}
    for name in texts:
        if name != "index.html":
            file = name.rpartition("/")[2]
            assert any(file in text for other, text in texts.items() if other != name), name


def test_the_browser_asks_the_server_alone_and_has_nothing_to_complain_of(
    open_page: OpenPage,
) -> None:
    page = open_page()
    requests: list[str] = []
    complaints: list[str] = []

    def note(request: Request) -> None:
        requests.append(request.url)

    page.on("request", note)
    page.on("console", lambda message: complaints.append(message.text))
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    say(page, "Hello there!")
    page.click("#open-settings")
    origin = page.evaluate("location.origin")
    assert [url for url in requests if not url.startswith((f"{origin}/", "data:image/"))] == []
    assert complaints == []
