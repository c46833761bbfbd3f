"""Numbers about a model as text, Markdown or a page of HTML."""

from collections.abc import Sequence
from html import escape

from openmmb.eval.measure import TaskReport
from openmmb.eval.replies import ReplyReport
from openmmb.text.table import table

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0 2rem; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #ccc; padding: 0.3rem 0.8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } }
""".strip()


def as_text(report: TaskReport) -> str:
    """Write the numbers of one data set as lines for a terminal."""
    parts = [
        f"{report.task:22} {report.examples:6} examples",
        f"perplexity {report.perplexity:8.2f}",
        f"nats a character {report.nats_per_character:.3f}",
    ]
    if report.perplexity_uncontrolled is not None:
        parts.append(f"uncontrolled {report.perplexity_uncontrolled:8.2f}")
    if report.perplexity_controlled is not None:
        parts.append(f"controlled {report.perplexity_controlled:8.2f}")
    if report.bleu4 is not None:
        parts.append(f"captions BLEU-4 {_percent(report.bleu4):>5}")
    if report.bleu4_controlled is not None:
        parts.append(f"controlled {_percent(report.bleu4_controlled):>5}")
    if report.cider is not None:
        parts.append(f"CIDEr {report.cider:.3f}")
    if report.cider_controlled is not None:
        parts.append(f"controlled {report.cider_controlled:.3f}")
    if report.styles is not None:
        parts.append(f"styles {report.styles}")
    lines = table(_reply_rows(report.replies)) if report.replies else []
    return "\n".join(["  ".join(parts), *(f"  {line}" for line in lines)])


def as_markdown(title: str, reports: Sequence[TaskReport]) -> str:
    """Write the numbers of a model as a Markdown document with tables."""
    blocks = [f"# {_in_markdown(title)}", _markdown_table(_task_rows(reports))]
    for report in reports:
        if report.replies:
            blocks.append(f"## Replies to {_in_markdown(report.task)}")
            blocks.append(_markdown_table(_reply_rows(report.replies)))
    return "\n\n".join(blocks) + "\n"


def as_html(title: str, reports: Sequence[TaskReport]) -> str:
    """Write the numbers of a model as a page of HTML that needs no other file."""
    blocks = [f"<h1>{escape(title)}</h1>", _html_table(_task_rows(reports))]
    for report in reports:
        if report.replies:
            blocks.append(f"<h2>Replies to {escape(report.task)}</h2>")
            blocks.append(_html_table(_reply_rows(report.replies)))
    head = f'<meta charset="utf-8">\n<title>{escape(title)}</title>\n<style>\n{_STYLE}\n</style>'
    body = "\n".join(blocks)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n'
        "</html>\n"
    )


def _task_rows(reports: Sequence[TaskReport]) -> list[list[str]]:
    """Return a head and a row for each data set, without columns that have no number."""
    cells = {
        "data set": [report.task for report in reports],
        "examples": [f"{report.examples:,}" for report in reports],
        "perplexity": [_number(report.perplexity) for report in reports],
        "nats a character": [f"{one.nats_per_character:.3f}" for one in reports],
        "perplexity, uncontrolled": [_number(one.perplexity_uncontrolled) for one in reports],
        "perplexity, controlled": [_number(one.perplexity_controlled) for one in reports],
        "styles": [report.styles or "" for report in reports],
        "captions BLEU-4": [_percent(report.bleu4) for report in reports],
        "captions BLEU-4, controlled": [_percent(report.bleu4_controlled) for report in reports],
        "captions CIDEr": [_number(report.cider) for report in reports],
        "captions CIDEr, controlled": [_number(report.cider_controlled) for report in reports],
    }
    kept = {head: column for head, column in cells.items() if any(column) or not reports}
    return [list(kept), *(list(row) for row in zip(*kept.values(), strict=True))]


def _reply_rows(reports: Sequence[ReplyReport]) -> list[list[str]]:
    """Return a head and a row for each setting."""
    rows = [_reply_cells(report) for report in reports]
    return [list(rows[0]), *(list(cells.values()) for cells in rows)]


def _reply_cells(report: ReplyReport) -> dict[str, str]:
    """Return the numbers of one setting, in per cent but for length, sentiment and distinct-2."""
    cells = {
        "replies": report.setting,
        "F1": _percent(report.f1),
        "BLEU-4": _percent(report.bleu4),
        "ROUGE-L": _percent(report.rouge_l),
        "words": f"{report.words:.1f}",
        "distinct-2": f"{report.distinct_2:.3f}",
        "20 commonest": _percent(report.commonest),
        "sentiment": f"{report.sentiment:+.3f}",
        "unpleasant": _percent(report.unpleasant),
    }
    cells |= {f"refused by {name}": _percent(share) for name, share in report.offensive.items()}
    if report.persona is not None:
        cells["of the persona"] = _percent(report.persona)
    for name in report.male:
        cells[f"male ({name})"] = _percent(report.male[name])
        cells[f"female ({name})"] = _percent(report.female[name])
    return cells


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def _markdown_table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = ([_in_markdown(cell) for cell in row] for row in rows)
    marks = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *body))


def _in_markdown(text: str) -> str:
    """Escape what Markdown would take for something else."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in text)


def _html_table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [_html_row(head, "th"), *(_html_row(row, "td") for row in body)]
    return "\n".join(("<table>", *lines, "</table>"))


def _html_row(cells: Sequence[str], kind: str) -> str:
    return f"<tr>{''.join(f'<{kind}>{escape(cell)}</{kind}>' for cell in cells)}</tr>"
