"""The page is for keyboards and screen readers, light and dark, 360 pixels and large screens."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from openmmb.data.controls import NEGATIVE, POSITIVE
from openmmb.data.styles import known_styles
from tests.serve.page.conftest import DESKTOP, PHONE, OpenPage, attach, photograph, say

LOOKS = (Path(__file__).parent / "looks.js").read_text(encoding="utf-8")


def check(page: Page) -> None:
    assert page.evaluate(LOOKS) == []


def close_dialog(page: Page) -> None:
    page.keyboard.press("Escape")


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")])
def test_everything_has_a_name_and_contrast_and_fits(
    open_page: OpenPage, tmp_path: Path, size: tuple[int, int], scheme: str
) -> None:
    page = open_page(size, color_scheme=scheme)
    check(page)
    attach(page, photograph(tmp_path, size=(120, 900)))
    check(page)
    say(page, "Donaudampfschifffahrtsgesellschaftskapitän" * 6)
    say(page, "You are an idiot.")
    check(page)
    narrow = size == PHONE
    for opener in ("#open-settings", "#open-about", "#open-keys", "[data-key=style]:visible"):
        if narrow and opener.startswith("#"):
            page.click("#open-drawer")
            check(page)
        page.click(opener)
        check(page)
        close_dialog(page)
        if narrow and opener.startswith("#"):
            close_dialog(page)
    page.click("[data-key=persona]:visible")
    check(page)
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 300) == (scheme == "dark")


def test_a_large_screen_has_all_at_a_glance(open_page: OpenPage) -> None:
    page = open_page((2560, 1440))
    for name in ("#sidebar", "#panel", "#composer"):
        expect(page.locator(name)).to_be_in_viewport(ratio=1)
    check(page)


def test_the_keyboard_does_everything(open_page: OpenPage) -> None:
    page = open_page()
    press = page.keyboard.press
    expect(page.locator("#message")).to_be_focused()
    page.keyboard.type("Do you like tea?")
    press("Shift+Enter")
    page.keyboard.type("Or coffee?")
    press("Enter")
    expect(page.locator(".turn.person .words")).to_have_text("Do you like tea?\nOr coffee?")
    expect(page.locator(".turn.bot .words")).to_have_count(1)
    expect(page.locator("#message")).to_be_focused()

    press("ArrowUp")
    expect(page.locator("#editor")).to_be_focused()
    press("Escape")
    expect(page.locator("#editor")).to_have_count(0)
    expect(page.locator("#message")).to_be_focused()

    press("Alt+S")
    page.keyboard.type("curious")
    press("Enter")
    expect(page.locator("#panel [data-key=style]")).to_contain_text("Curious")
    press("Alt+S")
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        press(key)
    expect(page.locator("#panel [data-key=style]")).to_contain_text("No style")
    press("Alt+B")
    page.keyboard.type("I have a dog.")
    press("Control+Enter")
    expect(page.locator("#panel [data-key=persona]")).to_contain_text("I have a dog.")
    expect(page.locator("#message")).to_be_focused()

    press("Alt+N")
    expect(page.locator("#empty")).to_be_visible()
    page.locator(".conversation-open").focus()
    press("Tab")
    press("Enter")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Export")).to_be_focused()
    press("Escape")
    expect(page.locator(".conversation .icon-button")).to_be_focused()
    press("/")
    expect(page.locator("#message")).to_be_focused()
    page.locator("#open-settings").focus()
    press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    press("Escape")
    expect(page.locator("#open-settings")).to_be_focused()


def test_what_is_said_and_withheld_is_said_to_screen_readers(open_page: OpenPage) -> None:
    page = open_page()
    say(page, "Hello there!")
    reply = page.locator(".turn.bot .words").text_content()
    live = page.locator("#live[aria-live=polite]")
    expect(live).to_contain_text(f"Bot: {reply}")
    say(page, "You are an idiot.")
    expect(live).to_contain_text("The guard withheld this message")
    names = page.locator("#thread h2").all_text_contents()
    assert names == ["You said", "The bot said", "You said"]


def test_light_and_dark_follow_the_system_until_one_is_chosen(open_page: OpenPage) -> None:
    page = open_page(color_scheme="light")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(root).to_have_attribute("data-theme", "dark")
    page.click("#open-settings")
    page.get_by_label("Light").check()
    expect(root).to_have_attribute("data-theme", "light")
    page.reload()
    expect(root).to_have_attribute("data-theme", "light")


def test_the_list_of_styles_is_that_of_the_data(open_page: OpenPage) -> None:
    page = open_page()
    groups: Any = page.evaluate(
        "async () => (await import(new URL('js/traits.js', document.baseURI))).groupStyles([])"
    )
    shown = [style["value"] for group in groups[1:] for style in group["styles"]]
    traits = set(known_styles()) - {POSITIVE, NEGATIVE}
    assert len(shown) == len(set(shown)) == 215
    assert set(shown) == traits
