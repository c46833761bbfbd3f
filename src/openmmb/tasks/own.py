"""A file of one's own conversations, judged line by line: what is wrong with it, and what it holds.

Training stops at the first line that is wrong; here every fault of every line is told.
"""

import dataclasses
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from openmmb.data.encode import EncodeConfig, encode_context, encode_reply
from openmmb.data.example import Example
from openmmb.errors import DataError, shorten, unknown
from openmmb.files import decode_text, open_bytes
from openmmb.tasks.jsonl import Conversation, Turn, examples_of
from openmmb.tasks.read import fit
from openmmb.text.tokenizer import Tokenizer

EXPECTED = {
    "string_type": "expected text",
    "tuple_type": "expected a list",
    "dict_type": "expected an object with an entry for each speaker",
    "dataclass_type": "expected an object",
    "missing": "missing",
    "missing_argument": "missing",
}
"""Kinds of faults, and what is told of them."""
_WHOLE = 10**6  # tokens; longer than any context that is cut


@dataclass
class OwnFile:
    """What a file of conversations holds.

    Attributes:
        lines: Lines that are not empty.
        faults: What is wrong, a line of text each.
        faulty: How many lines have faults.
        turns: Turns of the conversations that have none.
        speakers: How many different speakers they have.
        personas: How many have a persona.
        styles: How many have each style.
        image_ids: Pictures that they are about.
        examples: Replies to learn, by conversation.
    """

    lines: int = 0
    faults: list[str] = field(default_factory=list)
    faulty: int = 0
    turns: int = 0
    speakers: set[str] = field(default_factory=set)
    personas: int = 0
    styles: Counter[str] = field(default_factory=Counter)
    image_ids: set[str] = field(default_factory=set)
    examples: list[list[Example]] = field(default_factory=list)

    def add(self, number: int, row: Conversation) -> None:
        """Count a conversation."""
        self.turns += len(row.turns)
        self.speakers |= {turn.speaker for turn in row.turns}
        self.personas += bool(row.persona)
        self.styles.update((row.style or {}).values())
        learnt = list(examples_of(row, task="jsonl", conversation=str(number)))
        self.image_ids |= {one.image_id for one in learnt if one.image_id is not None}
        self.examples.append(learnt)


def check_file(path: Path) -> OwnFile:
    """Judge every line of a file.

    Raises:
        DataError: The file cannot be read.
    """
    adapter, report = TypeAdapter(Conversation), OwnFile()
    for number, line in _lines(path):
        report.lines += 1
        where = f"{path}: line {number}"
        try:
            row = fit(adapter, decode_text(line, where, error=DataError))
        except DataError as error:
            faults = [str(error)]
        except ValidationError as error:
            faults = [f"{where}: {_fault(one)}" for one in error.errors(include_url=False)]
        else:
            report.add(number, row)
            continue
        report.faulty += 1
        report.faults += faults
    return report


def describe(report: OwnFile) -> Iterator[str]:
    """Say what the lines without faults hold."""
    replies = sum(map(len, report.examples))
    yield (
        f"{len(report.examples)} conversations, {report.turns} turns of {len(report.speakers)} "
        f"speakers, {replies} replies to learn"
    )
    if report.personas:
        yield f"personas: in {report.personas} conversations"
    if report.styles:
        counts = ", ".join(f"{style} {count}" for style, count in report.styles.most_common())
        yield f"styles: {counts}"


def describe_pictures(report: OwnFile, there: Collection[str] | None, source: str) -> str:
    """Say how many of the pictures that are named are there.

    Args:
        report: Names them.
        there: Ids of the pictures in ``source``; None: nobody looked.
        source: Where they should be.
    """
    named = f"pictures: {len(report.image_ids)} named"
    if there is None:
        return f"{named}; --images or --features says which are there"
    missing = sorted(report.image_ids - set(there))
    if not missing:
        return f"{named}, all in {source}"
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return f"{named}, {len(missing)} missing in {source}: {', '.join(missing[:3])}{more}"


def describe_lengths(report: OwnFile, tokenizer: Tokenizer, config: EncodeConfig) -> Iterator[str]:
    """Say how long contexts and replies are in tokens, and what of them will be cut."""
    examples = [example for learnt in report.examples for example in learnt]
    if not examples:
        return
    whole = replace(config, max_context=_WHOLE, max_pinned=_WHOLE // 2)
    contexts = [len(encode_context(one, tokenizer, whole)) for one in examples]
    pinned = [len(encode_context(replace(e, context=()), tokenizer, whole)) for e in examples]
    longest = replace(config, max_reply=_WHOLE)
    replies = [len(encode_reply((one.reply,), tokenizer, longest)) for one in examples]
    cut = "lose their oldest turns" if "parlai" not in config.layout else "lose their beginning"
    yield _length("contexts", contexts, config.max_context, cut)
    yield _length("replies", replies, config.max_reply, "lose their end")
    over = sum(length > config.max_pinned for length in pinned)
    if over and "parlai" not in config.layout:
        yield (
            f"personas and styles: {over} take more than {config.max_pinned} tokens "
            "(encode.max_pinned) and lose their end"
        )


def _length(what: str, lengths: Sequence[int], limit: int, cut: str) -> str:
    over = sum(length > limit for length in lengths)
    key = {"contexts": "encode.max_context", "replies": "encode.max_reply"}[what]
    mean = sum(lengths) / len(lengths)
    fate = f"{over} are longer than {limit} ({key}) and {cut}" if over else f"none is over {limit}"
    return f"{what}: {mean:.0f} tokens on average, {max(lengths)} at most; {fate}"


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number, from 1, and the bytes of each line that is not empty."""
    try:
        with open_bytes(path) as file:
            data = file.read()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line := line.removesuffix(b"\r").removeprefix(BOM_UTF8):
            yield number, line


def _fault(fault: ErrorDetails) -> str:
    """Say which field is wrong, and what is expected of it."""
    steps = [step for step in fault["loc"] if step != "[key]"]
    key, kind = ".".join(map(str, steps)), fault["type"]
    where = f"{key}: " if key else ""
    if kind == "unexpected_keyword_argument":
        cls = Turn if len(steps) > 1 else Conversation
        names = [entry.name for entry in dataclasses.fields(cls)]
        return f"{where}{unknown('key', str(steps[-1]), names)}"
    if kind == "json_invalid":
        return f"expected a JSON object on one line: {_reason(fault)}"
    if kind in EXPECTED:
        got = "" if kind.startswith("missing") else f", got {shorten(repr(fault['input']))}"
        return f"{where}{EXPECTED[kind]}{got}"
    message = fault["msg"].removeprefix("Value error, ")
    quoted = "" if kind == "value_error" else f", got {shorten(repr(fault['input']))}"
    return f"{where}{message}{quoted}"


def _reason(fault: ErrorDetails) -> str:
    context: Mapping[str, object] = fault.get("ctx") or {}
    return str(context.get("error", fault["msg"])).replace(" at line 1", " at").replace("  ", " ")
