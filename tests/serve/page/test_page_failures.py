"""The page says plainly why there is no reply, and keeps what was typed.

The servers are real ones: what holds a reply back is a check of the guard that waits.
"""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from openmmb.chat.bot import Bot
from openmmb.safety.guard import GuardConfig, open_guard
from openmmb.safety.verdict import Verdict
from openmmb.serve.config import ServeConfig
from tests.serve.conftest import serving, wait_until_ready
from tests.serve.page.conftest import OpenPage, say, show, wait_for_answer

SAFE = Verdict(safe=True)


class Gatekeeper:
    """A check that keeps the word "wait" until it is let through."""

    def __init__(self) -> None:
        self.met = threading.Event()
        self.opened = threading.Event()

    def __call__(self, text: str, context: Sequence[str]) -> Verdict:
        if "wait" in text:
            self.met.set()
            self.opened.wait(60)
        return SAFE


@contextmanager
def kept_waiting(bot: Bot, config: ServeConfig) -> Iterator[tuple[str, Gatekeeper]]:
    gate = Gatekeeper()
    guard = open_guard(GuardConfig(classifier="none"), more=[gate])
    with serving(Bot(bot.engine, guard=guard, search=bot.search), config) as url:
        wait_until_ready(url)
        try:
            yield url, gate
        finally:
            gate.opened.set()


def ask(url: str, text: str) -> None:
    body = {"messages": [{"role": "user", "content": text}]}
    httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)


def say_and_leave(page: Page, text: str) -> None:
    page.fill("#message", text)
    page.press("#message", "Enter")


def test_a_busy_server_is_waited_for_and_the_reply_comes(open_page: OpenPage, bot: Bot) -> None:
    with kept_waiting(bot, ServeConfig(max_waiting=1)) as (url, gate):
        page = open_page(url=url)
        other = threading.Thread(target=ask, args=(url, "wait"))
        other.start()
        gate.met.wait(30)
        say_and_leave(page, "Hello there!")
        expect(page.locator(".thinking")).to_contain_text("The server is busy. Trying again")
        gate.opened.set()
        expect(page.locator(".turn.bot .words")).to_have_count(1)
        other.join()


def test_a_reply_that_takes_too_long_can_be_asked_for_again(open_page: OpenPage, bot: Bot) -> None:
    with kept_waiting(bot, ServeConfig(time_limit=1.0)) as (url, gate):
        page = open_page(url=url)
        say(page, "wait for me")
        expect(page.locator(".card.failure")).to_contain_text("took too long")
        expect(page.locator(".turn.person .words")).to_have_text("wait for me")
        gate.opened.set()
        while not page.locator(".turn.bot .words").count():  # the first one may be at work yet
            page.get_by_role("button", name="Try again").click()
            wait_for_answer(page)


def test_a_reply_can_be_stopped_by_button_by_key_and_by_deleting_the_conversation(
    open_page: OpenPage, bot: Bot
) -> None:
    with kept_waiting(bot, ServeConfig()) as (url, gate):
        page = open_page(url=url)
        for by_key in (False, True):
            gate.met.clear()
            say_and_leave(page, "wait for me")
            gate.met.wait(30)
            if by_key:
                page.keyboard.press("Escape")
            else:
                page.click("#stop")
            expect(page.locator(".turn.person").last).to_contain_text("Stopped")
            gate.opened.set()
            gate.opened = threading.Event()
        expect(page.locator(".turn.bot")).to_have_count(0)
        expect(page.locator("#message")).to_be_focused()

        say_and_leave(page, "wait for me")
        page.click("#conversation-menu")
        page.get_by_role("menuitem", name="Delete").click()
        page.get_by_role("button", name="Delete", exact=True).click()
        expect(page.locator("#empty")).to_be_visible()
        show(page, url)
        expect(page.locator(".conversation")).to_have_count(0)  # it does not come back


def test_while_the_model_loads_the_page_waits_and_then_answers(
    open_page: OpenPage, bot: Bot
) -> None:
    loaded = threading.Event()

    def load() -> Bot:
        loaded.wait(60)
        return bot

    with serving(load) as url:
        page = open_page(url=url)
        expect(page.locator("#notice")).to_contain_text("still loading")
        say_and_leave(page, "Hello there!")
        expect(page.locator(".thinking")).to_contain_text("still loading")
        loaded.set()
        expect(page.locator(".turn.bot .words")).to_have_count(1)
        expect(page.locator("#notice")).to_be_hidden()


def test_when_the_server_is_gone_nothing_is_lost_and_when_it_is_back_all_goes_on(
    open_page: OpenPage, bot: Bot
) -> None:
    with serving(bot) as url:
        wait_until_ready(url)
        page = open_page(url=url)
        say(page, "Hello there!")
    say(page, "Are you still there?")
    card = page.locator(".card.failure")
    expect(card).to_contain_text("can't be reached")
    expect(page.locator("#notice")).to_contain_text("can't be reached")
    page.fill("#message", "something else")
    with again(url, bot):
        expect(page.locator("#notice")).to_contain_text("The server is back")
        page.get_by_role("button", name="Try again").click()
        expect(page.locator(".turn.bot .words")).to_have_count(2)
        expect(page.locator("#message")).to_have_value("something else")


@contextmanager
def again(url: str, bot: Bot) -> Iterator[None]:
    """Run a server at the address of one that has ended."""
    port = int(url.rpartition(":")[2])
    original = socket.create_server

    def same_port(_: Any) -> socket.socket:
        return original(("127.0.0.1", port))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "create_server", same_port)
        with serving(bot):
            yield


def test_a_key_is_asked_for_and_kept_for_the_tab(open_page: OpenPage, bot: Bot) -> None:
    with serving(bot, ServeConfig(api_key=("a-secret",))) as url:
        wait_until_ready(url)
        page = open_page(url=url)
        expect(page.locator("#notice")).to_contain_text("wants an API key")
        say(page, "Hello there!")
        expect(page.locator(".card.failure")).to_contain_text("wants an API key")
        page.locator(".card").get_by_role("button", name="Enter the key").click()
        expect(page.locator("#key")).to_be_focused()
        page.fill("#key", "a-secret")
        page.get_by_role("button", name="Done").click()
        expect(page.locator("#notice")).to_be_hidden()
        page.get_by_role("button", name="Try again").click()
        expect(page.locator(".turn.bot .words")).to_have_count(1)
        show(page, url)
        expect(page.locator("#notice")).to_be_hidden()
        assert page.evaluate("localStorage.getItem('openmmb-key')") is None
