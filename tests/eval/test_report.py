"""Every number of a report is in its text, its Markdown and its HTML, whatever names are."""

import re
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from openmmb.eval.measure import TaskReport
from openmmb.eval.replies import ReplyReport
from openmmb.eval.report import as_html, as_markdown, as_text

REPLIES = ReplyReport(
    setting="f0m0",
    replies=4,
    f1=0.1234,
    bleu4=0.01,
    rouge_l=0.25,
    sentiment=-0.5,
    unpleasant=0.75,
    words=7.25,
    distinct_2=0.345,
    commonest=0.65,
    offensive={"words": 0.5},
    male={"own": 0.0},
    female={"own": 1.0},
    persona=0.4321,
)
TALK = TaskReport(
    task="convai2", examples=1234, perplexity=12.345, nats_per_character=0.789, replies=(REPLIES,)
)
CAPTIONS = TaskReport(
    task="flickr8k",
    examples=4,
    perplexity=9.0,
    nats_per_character=0.8,
    perplexity_uncontrolled=8.0,
    perplexity_controlled=7.0,
    bleu4=0.2,
    bleu4_controlled=0.1,
    cider=0.654,
    cider_controlled=0.543,
)
NUMBERS = [
    *("12.35", "12.34", "0.789", "1.00", "25.00", "-0.500", "75.00", "7.2", "0.345", "65.00"),
    *("50.00", "43.21", "0.00", "100.00"),
]


class Cells(HTMLParser):
    """The texts of a page, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def texts(page: str) -> list[str]:
    parser = Cells()
    parser.feed(page)
    return parser.texts


def test_text_is_a_line_and_a_table() -> None:
    first, head, row = as_text(TALK).splitlines()
    assert first.split()[:4] == ["convai2", "1234", "examples", "perplexity"]
    assert first.split()[4] in ("12.34", "12.35")
    assert first.split()[5:] == ["nats", "a", "character", "0.789"]
    assert head.split()[:7] == [
        "replies",
        "F1",
        "BLEU-4",
        "ROUGE-L",
        "words",
        "distinct-2",
        "20",
    ]
    numbers = "12.34 1.00 25.00 7.2 0.345 65.00 -0.500 75.00 50.00 43.21 0.00 100.00"
    assert row.split() == ["f0m0", *numbers.split()]


def test_captions_have_their_numbers_without_and_with_the_control() -> None:
    assert as_text(CAPTIONS) == (
        "flickr8k                    4 examples  perplexity     9.00  nats a character 0.800  "
        "uncontrolled     8.00  controlled     7.00  captions BLEU-4 20.00  controlled 10.00  "
        "CIDEr 0.654  controlled 0.543"
    )


def test_markdown_has_a_table_of_data_sets_and_one_of_each_ones_replies() -> None:
    lines = as_markdown("runs/mine", [TALK, CAPTIONS]).splitlines()
    assert lines[0] == "# runs/mine"
    rows = [line.split(" | ") for line in lines if line.startswith("|")]
    assert len({len(row) for row in rows[:4]}) == len({len(row) for row in rows[4:]}) == 1
    assert "## Replies to convai2" in lines
    assert "## Replies to flickr8k" not in lines
    assert any(
        line.startswith("| f0m0 | 12.34 | 1.00 | 25.00 | 7.2 | 0.345 | 65.00 | -0.500 ")
        for line in lines
    )


def test_a_column_without_numbers_is_left_out() -> None:
    assert "captions" not in as_markdown("m", [TALK])
    assert "captions BLEU-4" in as_markdown("m", [TALK, CAPTIONS])


def test_html_needs_no_other_file() -> None:
    page = as_html("m", [TALK, CAPTIONS])
    assert page.startswith("<!DOCTYPE html>")
    assert not re.search(r"\b(src|href)\s*=|<script|<link|url\(", page)
    found = texts(page)
    for number in ("12.34", "25.00", "-0.500", "20.00", "Replies to convai2"):
        assert number in found


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20))
def test_no_name_is_taken_for_markup(name: str) -> None:
    report = replace(TALK, task=name, replies=(replace(REPLIES, setting=name),))
    page = as_html(name, [report])
    assert texts(page).count(name) >= 3 or not name.strip()
    assert page.count("<td>") == as_html("m", [TALK]).count("<td>")
    plain = as_markdown("m", [TALK])
    shown = as_markdown(name, [report])
    assert len(re.findall(r"(?<!\\)\|", shown)) == len(re.findall(r"(?<!\\)\|", plain))
