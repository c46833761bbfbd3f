"""The page shows a picture, talks, says what the guard withheld, and keeps all of it.

A conversation is only in the browser: what the server gets is what the page sends.
"""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, Request, expect

from tests.serve.page.conftest import (
    DESKTOP,
    PHONE,
    OpenPage,
    attach,
    photograph,
    say,
    show,
    wait_for_answer,
)

SECRET = "taken at a secret place"


def sent_by(page: Page) -> list[dict[str, Any]]:
    """Return a list that every request for a reply is added to."""
    bodies: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            bodies.append(json.loads(request.post_data or ""))

    page.on("request", note)
    return bodies


def pictures_in(body: dict[str, Any]) -> list[bytes]:
    contents = [message["content"] for message in body["messages"]]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [base64.b64decode(url.partition(",")[2]) for url in urls]


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_picture_four_turns_a_refusal_and_all_of_it_after_a_reload(
    open_page: OpenPage, page_url: str, tmp_path: Path, size: tuple[int, int]
) -> None:
    page = open_page(size)
    bodies = sent_by(page)
    attach(page, photograph(tmp_path, turned=True))
    page.press("#message", "Enter")  # without a word: the bot speaks first
    wait_for_answer(page)
    expect(page.locator(".turn.bot .words")).to_have_count(1)
    for text in ("What do you see?", "Do you like the sea?", "I went swimming today."):
        say(page, text)
    expect(page.locator(".turn.bot .words")).to_have_count(4)
    expect(page.locator(".turn.person .shown-picture")).to_have_count(1)

    say(page, "You are an idiot.")
    card = page.locator(".card.guard")
    expect(card).to_contain_text("withheld this message")
    expect(card).to_contain_text("is an insult")
    say(page, "Sorry. How was your day?")
    assert "idiot" not in json.dumps(bodies[-1])
    assert [message["role"] for message in bodies[-1]["messages"]] == ["user", "assistant"] * 4 + [
        "user"
    ]

    assert [len(pictures_in(body)) for body in bodies] == [1] * 6
    (picture,) = pictures_in(bodies[-1])
    with Image.open(io.BytesIO(picture)) as image:
        assert image.height > image.width  # upright
        assert max(image.size) == 1024
    assert SECRET.encode() not in picture

    words = page.locator(".words").all_text_contents()
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    page.fill("#message", "half a thou")
    show(page, page_url)
    assert page.locator(".words").all_text_contents() == words
    expect(page.locator(".shown-picture img")).to_have_js_property("naturalHeight", 1024)
    expect(page.locator(".card.guard")).to_contain_text("is an insult")
    expect(page.locator("#message")).to_have_value("half a thou")


def test_a_picture_can_be_dropped_pasted_taken_put_away_and_put_in_view_again(
    open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page()
    bodies = sent_by(page)
    data = base64.b64encode(photograph(tmp_path, size=(300, 200)).read_bytes()).decode()
    give = """([kind, data]) => {
      const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], `${kind}.jpg`, { type: "image/jpeg" }));
      const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true })
        : new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
      document.body.dispatchEvent(event);
    }"""
    image = page.locator("#attached img")
    for kind in ("drop", "paste"):
        page.evaluate(give, [kind, data])
        expect(image).to_have_attribute("alt", f"To be sent: {kind}.jpg")
    page.click("#camera")
    page.get_by_role("button", name="Take the photo").click()
    expect(image).to_have_attribute("alt", "To be sent: photo")
    say(page, "What is it?")
    assert len(pictures_in(bodies[-1])) == 1
    page.get_by_role("button", name="Put away").click()
    say(page, "And now?")
    assert pictures_in(bodies[-1]) == []
    page.locator(".thread .shown-picture").click()
    page.get_by_role("button", name="Put it in view again").click()
    say(page, "And again?")
    assert len(pictures_in(bodies[-1])) == 1


def test_what_is_no_picture_is_refused_in_words(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    for name, words in (("broken.jpg", "can't be read as a picture"), ("notes.txt", "no picture")):
        path = tmp_path / name
        path.write_bytes(b"not a picture at all")
        page.set_input_files("#file", path)
        expect(page.locator("#notice")).to_contain_text(words)
    expect(page.locator("#attached")).to_be_hidden()


def test_style_persona_gender_and_seed_go_with_every_request(open_page: OpenPage) -> None:
    page = open_page()
    bodies = sent_by(page)
    page.click("#panel [data-key=style]")
    page.get_by_role("combobox").fill("grateful")
    page.get_by_role("combobox").press("Enter")
    page.click("#panel [data-key=persona]")
    page.fill("#persona-lines", "I live by the sea.\n\nI have a dog.")
    page.get_by_role("button", name="Save").click()
    page.click("#open-settings")
    page.select_option("#gender", "f0m0")
    page.fill("#seed", "7")
    page.get_by_role("button", name="Done").click()
    say(page, "Hello!")
    body = bodies[-1]
    assert (body["style"], body["gender"], body["seed"]) == ("Appreciative (Grateful)", "f0m0", 7)
    persona = {"role": "system", "content": "I live by the sea.\nI have a dog."}
    assert body["messages"] == [persona, {"role": "user", "content": "Hello!"}]
    expect(page.locator(".turn.bot .words")).to_have_count(1)


def test_a_persona_that_the_guard_refuses_is_named_and_can_be_changed(open_page: OpenPage) -> None:
    page = open_page()
    page.click("#panel [data-key=persona]")
    page.fill("#persona-lines", "You are an idiot.")
    page.get_by_role("button", name="Save").click()
    say(page, "Hello!")
    expect(page.locator(".card.failure")).to_contain_text("does not accept the persona")
    expect(page.locator(".card.failure")).to_contain_text("is an insult")
    page.get_by_role("button", name="Change the persona").click()
    page.fill("#persona-lines", "I live by the sea.")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Try again").click()
    wait_for_answer(page)
    expect(page.locator(".turn.bot .words")).to_have_count(1)


def test_another_reply_is_shown_beside_the_first(open_page: OpenPage) -> None:
    page = open_page()
    bodies = sent_by(page)
    say(page, "Hello, who are you?")
    reply = page.locator(".turn.bot .words")
    first = reply.text_content()
    page.get_by_role("button", name="Another reply").click()
    expect(page.locator(".turn.bot .tools")).to_contain_text("2 of")
    assert reply.text_content() != first
    assert bodies[-1]["n"] > 1
    page.get_by_role("button", name="The reply before").click()
    expect(reply).to_have_text(first or "")


def test_the_last_message_can_be_edited_and_what_came_after_goes(open_page: OpenPage) -> None:
    page = open_page()
    bodies = sent_by(page)
    say(page, "Do you like tea?")
    say(page, "I like cake.")
    page.locator(".turn.person").last.get_by_role("button", name="Edit").click()
    page.fill("#editor", "I like bread.")
    page.press("#editor", "Enter")
    wait_for_answer(page)
    expect(page.locator(".turn.bot .words")).to_have_count(2)
    assert "cake" not in json.dumps(bodies[-1])
    assert bodies[-1]["messages"][-1]["content"] == "I like bread."


def test_text_is_never_html(open_page: OpenPage) -> None:
    page = open_page()
    hostile = "<img src=x onerror=alert(1)><b>bold</b>"
    say(page, hostile)
    expect(page.locator(".turn.person .words")).to_have_text(hostile)
    assert page.locator("#thread img, #thread b:not(.card b), #conversations b").count() == 0
    page.click("#open-about")
    page.locator("dialog summary").click()
    expect(page.locator("dialog table code")).to_have_text("small")
    expect(page.locator("dialog")).to_contain_text("<script>alert(1)</script>")
    assert page.locator("dialog script").count() == 0
