"""Conversations are kept in the browser: named, deleted, written to files and read from them."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from openmmb import Conversation, Turn
from tests.serve.page.conftest import OpenPage, attach, photograph, say


def exported(page: Page, folder: Path) -> Path:
    page.click("#open-settings")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export all").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    page.get_by_role("button", name="Done").click()
    return path


def imported(page: Page, path: Path) -> None:
    page.click("#open-settings")
    page.set_input_files("#file-import", path)


def test_a_conversation_is_renamed_exported_deleted_and_imported_as_it_was(
    open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page()
    attach(page, photograph(tmp_path))
    say(page, "Look at this!")
    say(page, "You are an idiot.")
    page.click("#conversation-menu")
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_role("textbox", name="Name").fill("By the sea")
    page.keyboard.press("Enter")
    expect(page.locator("#title")).to_have_text("By the sea")
    words = page.locator(".words, .card").all_text_contents()
    path = exported(page, tmp_path)

    page.click("#conversation-menu")
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#empty")).to_be_visible()
    expect(page.locator(".conversation")).to_have_count(0)

    imported(page, path)
    expect(page.locator("#notice")).to_contain_text("1 conversation imported")
    expect(page.locator("#title")).to_have_text("By the sea")
    assert page.locator(".words, .card").all_text_contents() == words
    expect(page.locator("#panel .panel-picture img")).to_have_js_property("naturalWidth", 1024)
    say(page, "Hello again!")  # and it goes on
    expect(page.locator(".turn.bot .words")).to_have_count(2)


def test_conversations_are_apart_and_each_keeps_what_is_typed(open_page: OpenPage) -> None:
    page = open_page()
    say(page, "I have a dog.")
    page.fill("#message", "and a")
    page.click("#new")
    expect(page.locator("#message")).to_have_value("")
    say(page, "I have a cat.")
    page.locator(".conversation-open", has_text="dog").click()
    expect(page.locator(".turn.person .words")).to_have_text("I have a dog.")
    expect(page.locator("#message")).to_have_value("and a")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(".conversation")).to_have_count(2)
    page.click("#open-settings")
    page.get_by_role("button", name="Delete all").click()
    page.locator("dialog").last.get_by_role("button", name="Delete all").click()
    expect(page.locator(".conversation")).to_have_count(0)
    expect(other.locator(".conversation")).to_have_count(0)  # another tab sees it too


def a_file(**changes: Any) -> dict[str, Any]:
    message = {"role": "user", "text": "Hi", "state": "sent", "picture": None, "problem": None}
    row = {
        "title": "One",
        "named": True,
        "created": "2026-01-31T12:00:00Z",
        "updated": "2026-01-31T12:00:00Z",
        "style": None,
        "persona": [],
        "gender": None,
        "seed": None,
        "looking": None,
        "thumb": None,
        "messages": [message, {"role": "assistant", "choices": [{"text": "Hello!"}], "shown": 0}],
        "pictures": {},
    }
    return {"format": "openmmb-conversations", "version": 1, "conversations": [{**row, **changes}]}


PIXEL = "data:image/svg+xml;base64,PHN2Zy8+"
WRONG = {
    "not JSON": "The file is not JSON.",
    json.dumps([1]): "has no conversations of this page",
    json.dumps({**a_file(), "version": 2}): "version: expected 1, got 2",
    json.dumps(a_file(title=7)): "conversations[0].title: expected text, got 7",
    json.dumps(a_file(messages=[{"role": "system"}])): 'messages[0].role: expected "user" or',
    json.dumps(a_file(created="soon")): "conversations[0].created: expected a time",
    json.dumps(a_file(seed=-1)): "conversations[0].seed: expected a whole number",
    json.dumps(a_file(looking="x")): "conversations[0].looking: expected the id of a picture",
    json.dumps(a_file(pictures={"x": PIXEL})): 'pictures."x": expected a picture as a data URI',
    json.dumps(a_file(pictures={"x": "https://example.org/x.png"})): "expected a picture as a data",
    json.dumps(a_file(pictures={"x": "data:image/png;base64,AAAA"})): "the picture can't be read",
    json.dumps(a_file(persona="x" * 10)): "conversations[0].persona: expected a list",
}


def test_a_file_that_is_wrong_is_refused_whole_with_where_and_why(
    open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page()
    page.click("#open-settings")
    path = tmp_path / "wrong.json"
    for text, words in WRONG.items():
        path.write_text(text)
        page.set_input_files("#file-import", path)
        expect(page.locator("#import-error")).to_contain_text(words)
    expect(page.locator(".conversation")).to_have_count(0)


def test_what_a_chat_in_a_terminal_saved_goes_on_here(open_page: OpenPage, tmp_path: Path) -> None:
    turns = (Turn("person", "I have two cats."), Turn("bot", "What are their names?"))
    path = tmp_path / "chat.json"
    path.write_text(Conversation(turns=turns, persona=("I like cats.",)).to_json())
    page = open_page()
    imported(page, path)
    expect(page.locator(".words")).to_have_text([turn.text for turn in turns])
    expect(page.locator("#panel [data-key=persona]")).to_contain_text("I like cats.")
    say(page, "Tom and Tim.")
    expect(page.locator(".turn.bot .words")).to_have_count(2)


def test_a_browser_that_keeps_nothing_is_talked_in_all_the_same(open_page: OpenPage) -> None:
    page = open_page()
    page.add_init_script("Object.defineProperty(window, 'indexedDB', { value: undefined });")
    page.reload()
    expect(page.locator("#notice")).to_contain_text("keeps nothing here")
    say(page, "Hello there!")
    expect(page.locator(".turn.bot .words")).to_have_count(1)


def test_a_long_conversation_opens_at_its_end_and_goes_on(
    open_page: OpenPage, tmp_path: Path
) -> None:
    count = 300
    rows = a_file()
    (row,) = rows["conversations"]
    row["messages"] = [{**row["messages"][0], "text": f"Turn {at}"} for at in range(count)]
    path = tmp_path / "long.json"
    path.write_text(json.dumps(rows))
    page = open_page()
    imported(page, path)
    expect(page.locator(".turn")).to_have_count(count)
    expect(page.locator(".turn").last).to_be_in_viewport()
    say(page, "Hello there!")
    expect(page.locator(".turn.bot .words")).to_have_count(1)
