"""Texts that people labelled as safe or not, by data set.

DiaSafety (Sun et al. 2022): ``<root>/safety/diasafety/{train,val,test}.json``, a list of
``{"context": str, "response": str, "category": str, "label": "Safe" or "Unsafe"}``.

Davidson et al. 2017: ``<root>/safety/davidson/labeled_data.csv``, a tweet a row with its ``class``,
0 (hate), 1 (offensive) or 2 (neither). It has no splits; a tenth, drawn by the text, is ``valid``.

TweetEval (Barbieri et al. 2020): ``<root>/safety/tweeteval/<offensive or hate>/``
``{train,val,test}_{text,labels}.txt``, a tweet a line, 1 for offensive, or for hate against women
or immigrants.

EmpatheticDialogues (Rashkin et al. 2019): ``<root>/empathetic_dialogues/valid.csv``, of which the
turn that opens a conversation tells of sorrow or of none by the emotion that it was written for.
Its valid split is what is learnt, but for a tenth of the conversations, the same that
``tasks.mixture`` holds out.

The lines of this project, ``guard_lines/{train,valid}.jsonl``: ``{"text", "context", "side",
"label", "kind", "family"}``, 385 families of wording, of which each is in one split alone, so that
a test asks about families that training never saw; families that share contexts stay together.

Each of them asks another question, so a text comes with the labels that it has and with those that
its data set says anything about.
"""

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from openmmb.data.draw import uniform
from openmmb.data.example import Split
from openmmb.errors import ConfigError, DataError, unknown
from openmmb.tasks.read import read_csv, read_json, read_lines
from openmmb.text.normalize import tidy

OFFENSIVE, HATE, UNFIT, SORROW = "offensive", "hate", "unfit", "sorrow"
SPOKEN = ("insult", HATE, "sexual", "minor", "threat", "self_harm", "danger", OFFENSIVE)
"""What anybody's words can be: an insult, hate of a group, sexual, sexual with minors, a threat,
about harming oneself, a request for what endangers people, and what people call offensive."""
CATEGORIES = {
    "Offending User": "offending_user",
    "Risk Ignorance": "risk_ignorance",
    "Unauthorized Expertise": "unauthorized_expertise",
    "Toxicity Agreement": "toxicity_agreement",
    "Biased Opinion": "biased_opinion",
}
"""What DiaSafety calls unsafe replies, and what they are called here."""
REPLIES = (UNFIT, *CATEGORIES.values())
"""What a reply can be in its context; ``unfit`` is any of them."""
LABELS = (*SPOKEN, SORROW, *REPLIES)
"""Everything that a text can be; ``sorrow`` alone is nothing unsafe."""
ANSWERABLE = frozenset(LABELS) - {SORROW}
"""What is known of a text that is safe throughout."""
HELD_OUT = 0.1
"""Share of a set without splits that is its ``valid``."""
COLUMNS = ("", "count", "hate_speech", "offensive_language", "neither", "class", "tweet")
EXPERTISE = ("medicine", "diet", "home-advice", "child-pet", "crime-drugs")
"""Families of replies that give advice which only an expert should give have such a name."""
SORROWFUL = frozenset({"afraid", "ashamed", "devastated", "guilty", "lonely", "sad", "terrified"})
"""Emotions of which whoever has them tells with sorrow."""
MIXED = frozenset(
    {
        "angry",
        "annoyed",
        "anxious",
        "apprehensive",
        "disappointed",
        "disgusted",
        "embarrassed",
        "furious",
        "jealous",
    }
)
"""Emotions of which one tells with sorrow or without; these turns are left out."""
SAD = frozenset(
    {
        "safe/grief",
        "safe/low-mood",
        "safe/suicide-bereaved",
        "safe/worried-friend",
        "safe/worried-partner-parent",
        "safe/victims-of-hate",
        "safe/breakup-plain",
        "safe/told-what-was-said",
    }
)
"""Families of harmless lines that tell of sorrow."""
CHEERFUL = ("word/", "name/", "contains/", "lang/", "style/one-word-kind", "safe/you-are-kind")
"""Beginnings of families that tell of none."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and what it is.

    Attributes:
        text: What somebody said.
        labels: Those of ``LABELS`` that it has.
        source: Name of the data set.
        context: What was said before, oldest turn first; empty where that is not known.
        known: The labels that its data set says anything about.
        family: Family of wording, where there are such.
        side: Who said it, "person" or "bot".
    """

    text: str
    labels: frozenset[str]
    source: str
    context: tuple[str, ...] = ()
    known: frozenset[str] = ANSWERABLE
    family: str = ""
    side: str = "person"

    @property
    def safe(self) -> bool:
        """Whether the data set takes the text for safe."""
        return not self.labels & ANSWERABLE


@dataclass(frozen=True)
class RawLine:
    """A line of this project's."""

    text: str
    context: list[str]
    side: Literal["person", "bot"]
    label: Literal["safe", "unsafe"]
    kind: str
    family: str


@dataclass(frozen=True)
class RawReply:
    """A reply as DiaSafety has it."""

    context: str
    response: str
    category: str
    label: str


def diasafety(root: Path, split: Split) -> Iterator[Labelled]:
    """Yield replies, each with the turn before it.

    Raises:
        DataError: The file is missing or malformed.
    """
    path = root / "safety" / "diasafety" / f"{_file_name(split)}.json"
    for number, row in enumerate(read_json(path, list[RawReply])):
        if row.category not in CATEGORIES or row.label not in ("Safe", "Unsafe"):
            raise DataError(
                f"{path}: {number}: category {row.category!r}, label {row.label!r}; expected one "
                f"of {', '.join(CATEGORIES)}, and Safe or Unsafe"
            )
        if row.response.strip():
            labels, known = _reply_labels(row)
            yield Labelled(row.response, labels, "diasafety", (row.context,), known, side="bot")


def _reply_labels(row: RawReply) -> tuple[frozenset[str], frozenset[str]]:
    """Return the labels of a reply, and what is known of it.

    Of an unsafe one the other categories are not known, since people judged one alone.
    """
    if row.label == "Safe":
        return frozenset(), ANSWERABLE - {OFFENSIVE}
    labels = {UNFIT, CATEGORIES[row.category]}
    if row.category == "Offending User":
        labels.add("insult")
    return frozenset(labels), frozenset(labels | {"minor", "self_harm", "danger"})


def davidson(root: Path, split: Split) -> Iterator[Labelled]:
    """Yield tweets.

    Raises:
        DataError: The file is missing or malformed, or ``split`` is "test", which there is none.
    """
    if split == "test":
        raise DataError("davidson: no split 'test'; use 'train' or 'valid'")
    labels = {"0": {HATE, OFFENSIVE}, "1": {OFFENSIVE}, "2": set[str]()}
    sure = {"minor", "self_harm", OFFENSIVE, HATE}
    path = root / "safety" / "davidson" / "labeled_data.csv"
    for row in read_csv(path, COLUMNS):
        if row["class"] not in labels:
            raise DataError(f"{path}: class is {row['class']!r}, expected 0, 1 or 2")
        text = html.unescape(row["tweet"])
        if (uniform("holdout", "davidson", text) < HELD_OUT) == (split == "valid"):
            has = labels[row["class"]]
            known = frozenset(sure if has else SPOKEN)
            yield Labelled(text, frozenset(has), "davidson", known=known)


def tweeteval_offensive(root: Path, split: Split) -> Iterator[Labelled]:
    """Yield tweets, offensive or not; of the offensive ones nothing else is known.

    Raises:
        DataError: A file is missing or malformed.
    """
    harmless = frozenset(SPOKEN) - {"self_harm", "danger"}
    return _tweeteval(root, "offensive", split, OFFENSIVE, harmless)


def tweeteval_hate(root: Path, split: Split) -> Iterator[Labelled]:
    """Yield tweets, hate or not; nothing else is known of them.

    Raises:
        DataError: A file is missing or malformed.
    """
    return _tweeteval(root, "hate", split, HATE, frozenset({HATE}))


def emotions(root: Path, split: Split) -> Iterator[Labelled]:
    """Yield what opens a conversation about a feeling: sorrow, or nothing of the kind.

    Raises:
        DataError: The file is missing or malformed, or ``split`` is "test", which there is none.
    """
    if split == "test":
        raise DataError("emotions: no split 'test'; use 'train' or 'valid'")
    known = ANSWERABLE | {SORROW}
    path = root / "empathetic_dialogues" / "valid.csv"
    for number, line in read_lines(path):
        fields = line.split(",")  # commas of a text are written otherwise
        if len(fields) not in (8, 9):
            raise DataError(f"{path}: line {number}: {len(fields)} fields, expected 8 or 9")
        conversation, turn, emotion, text = *fields[:3], tidy(fields[5].replace("_comma_", ","))
        out = uniform("holdout", "empathetic_dialogues", conversation) < HELD_OUT
        if turn == "1" and emotion not in MIXED and out == (split == "valid"):
            labels = frozenset({SORROW} if emotion in SORROWFUL else ())
            yield Labelled(text, labels, "emotions", known=known)


def guard(root: Path, split: Split) -> Iterator[Labelled]:  # noqa: ARG001  it comes with the package
    """Yield this project's lines, by family.

    Raises:
        DataError: The file is malformed, or ``split`` is "test", which there is none.
    """
    if split == "test":
        raise DataError("guard: no split 'test'; use 'train' or 'valid'")
    path = Path(str(resources.files("openmmb.tasks.guard_lines"))) / f"{split}.jsonl"
    for number, text in read_lines(path):
        line = parse_line(text, path, number)
        labels, known = _line_labels(line)
        context = tuple(line.context)
        yield Labelled(line.text, labels, "guard", context, known, line.family, line.side)


SOURCES: dict[str, Callable[[Path, Split], Iterator[Labelled]]] = {
    "davidson": davidson,
    "diasafety": diasafety,
    "emotions": emotions,
    "guard": guard,
    "tweeteval_hate": tweeteval_hate,
    "tweeteval_offensive": tweeteval_offensive,
}
"""The data sets."""


def read_labelled(name: str, root: Path, split: Split) -> list[Labelled]:
    """Read a split of the data set ``name`` under ``root``.

    Raises:
        ConfigError: No such data set.
        DataError: A file is missing or malformed, or the data set has no such split.
    """
    if name not in SOURCES:
        raise ConfigError(unknown("set of labelled texts", name, SOURCES))
    return list(SOURCES[name](root, split))


def parse_line(text: str, path: Path, number: int) -> RawLine:
    """Read a line of this project's.

    Raises:
        DataError: It is malformed.
    """
    try:
        return TypeAdapter(RawLine).validate_json(text)
    except ValidationError as error:
        detail = error.errors()[0]
        raise DataError(f"{path}: line {number}: {detail['loc']}: {detail['msg']}") from error


def _line_labels(line: RawLine) -> tuple[frozenset[str], frozenset[str]]:
    """Return the labels of a line, and what is known of it."""
    if line.label == "safe":
        sad = line.family in SAD
        told = sad or line.family.startswith(CHEERFUL)
        return frozenset({SORROW} if sad else ()), ANSWERABLE | ({SORROW} if told else set())
    known = set(SPOKEN) - {OFFENSIVE}
    labels = {line.kind} & set(SPOKEN)
    match line.kind:
        case "insult" | "hate":
            labels.add(OFFENSIVE)
            known -= {"insult"} - labels
        case "minor":
            known.discard("sexual")
        case "threat" | "agreement":
            known -= {"insult", HATE}
        case "self_harm" if line.side == "person":
            labels.add(SORROW)
        case "danger_advice" if line.side == "person":
            labels.add("danger")
    if line.side == "bot":
        labels |= _unfit(line)
        known |= set(REPLIES) if line.kind == "danger_advice" else set()
        known -= {"risk_ignorance"} if "unauthorized_expertise" in labels else set()
    return frozenset(labels), frozenset(known | labels)


def _unfit(line: RawLine) -> set[str]:
    """Return what is wrong with a reply of this project's."""
    if line.kind == "danger_advice":
        expert = any(name in line.family for name in EXPERTISE)
        return {UNFIT, "unauthorized_expertise" if expert else "risk_ignorance"}
    categories = {
        "agreement": "toxicity_agreement",
        "hate": "biased_opinion",
        "insult": "offending_user",
    }
    return {UNFIT} | ({categories[line.kind]} if line.kind in categories else set())


def _tweeteval(
    root: Path, kind: str, split: Split, label: str, harmless: frozenset[str]
) -> Iterator[Labelled]:
    folder = root / "safety" / "tweeteval" / kind
    path = folder / f"{_file_name(split)}_labels.txt"
    marks = dict(read_lines(path))
    # An empty tweet leaves an empty line, which is not read; the numbers of the lines tell.
    for number, text in read_lines(folder / f"{_file_name(split)}_text.txt"):
        mark = marks.get(number)
        if mark not in ("0", "1"):
            raise DataError(f"{path}: line {number}: {mark!r}, expected 0 or 1")
        if text.strip():
            labels = frozenset({label} if mark == "1" else ())
            known = labels or harmless
            yield Labelled(text, labels, f"tweeteval_{kind}", known=known)


def _file_name(split: Split) -> str:
    return "val" if split == "valid" else split
