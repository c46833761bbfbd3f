"""A real Chromium that shows the page of a real server; skipped only where there is no Chromium."""

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from openmmb.serve.service import Hosted
from tests.serve.conftest import serving, wait_until_ready

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE, DESKTOP = (360, 740), (1366, 860)
CARD = "# A model\n\n| what | is |\n|---|---|\n| it | `small` |\n\n<script>alert(1)</script>\n"
OpenPage = Callable[..., Page]
PATIENCE = 60_000  # milliseconds; a machine may have much else to do

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for the tests of a file: while it lives, no other event loop may run."""
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("this system has no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_url(bot: Any) -> Iterator[str]:
    """A server whose model has a card."""
    with serving(Hosted(bot, name="tiny", card=CARD)) as url:
        wait_until_ready(url)
        yield url


@pytest.fixture
def contexts(chromium: Browser) -> Iterator[list[BrowserContext]]:
    contexts: list[BrowserContext] = []
    yield contexts
    for context in contexts:
        context.close()


@pytest.fixture
def open_page(contexts: list[BrowserContext], chromium: Browser, page_url: str) -> OpenPage:
    """Opens the page as somebody new, and fails the test for whatever the browser complains of."""

    def open_page(size: tuple[int, int] = DESKTOP, url: str = page_url, **settings: Any) -> Page:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            reduced_motion="reduce",
            accept_downloads=True,
            **settings,
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(f"the page failed: {error}"))
        show(page, url)
        return page

    return open_page


def show(page: Page, url: str) -> None:
    """Load the page, and wait until it can be used."""
    page.bring_to_front()  # the keyboard is for the page in front
    page.goto(url)
    page.wait_for_selector("html[data-ready]", state="attached")


def say(page: Page, text: str) -> None:
    """Send a message, and wait until there is an answer of any kind."""
    page.fill("#message", text)
    page.press("#message", "Enter")
    wait_for_answer(page)


def wait_for_answer(page: Page) -> None:
    expect(page.locator("#send")).to_be_visible()


def photograph(folder: Path, *, size: tuple[int, int] = (2400, 1600), turned: bool = False) -> Path:
    """Write a photograph; where it was turned, its file lies on its side and says so."""
    image = Image.new("RGB", size, (110, 170, 230))
    draw = ImageDraw.Draw(image)
    width, height = size
    draw.rectangle((0, height * 2 // 3, width, height), fill=(220, 200, 150))
    draw.ellipse((width // 3, height // 3, width // 2, height * 2 // 3), fill=(200, 60, 50))
    exif = Image.Exif()
    exif[0x010E] = "taken at a secret place"  # ImageDescription
    if turned:
        exif[0x0112] = 6  # Orientation: turn it to the right
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85, exif=exif)
    path = folder / "beach.jpg"
    path.write_bytes(buffer.getvalue())
    return path


def attach(page: Page, path: Path) -> None:
    """Choose a picture, and wait until it lies beside the message."""
    page.set_input_files("#file", path)
    expect(page.locator("#attached img")).to_be_visible()
