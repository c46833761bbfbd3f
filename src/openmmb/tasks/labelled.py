"""Texts that people labelled as safe or not, by data set.

DiaSafety (Sun et al. 2022): ``<root>/safety/diasafety/{train,val,test}.json``, a list of
``{"context": str, "response": str, "category": str, "label": "Safe" or "Unsafe"}``.

Davidson et al. 2017: ``<root>/safety/davidson/labeled_data.csv``, a tweet a row with its ``class``,
0 (hate), 1 (offensive) or 2 (neither). It has no splits; a tenth, drawn by the text, is ``valid``.

TweetEval (Barbieri et al. 2020): ``<root>/safety/tweeteval/<offensive or hate>/``
``{train,val,test}_{text,labels}.txt``, a tweet a line, 1 for offensive, or for hate against women
or immigrants.

Each of them asks another question, so a text comes with all labels that it may have: a tweet that
is not hate may be offensive all the same.
"""

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from openmmb.data.draw import uniform
from openmmb.data.example import Split
from openmmb.errors import ConfigError, DataError, unknown
from openmmb.tasks.read import read_csv, read_json, read_lines

SAFE, OFFENSIVE, HATE = "safe", "offensive", "hate"
CATEGORIES = {
    "Offending User": "offending_user",
    "Risk Ignorance": "risk_ignorance",
    "Unauthorized Expertise": "unauthorized_expertise",
    "Toxicity Agreement": "toxicity_agreement",
    "Biased Opinion": "biased_opinion",
}
"""What DiaSafety calls unsafe replies, and what they are called here."""
LABELS = (SAFE, OFFENSIVE, HATE, *CATEGORIES.values())
"""Everything that a text can be."""
HELD_OUT = 0.1
"""Share of a set without splits that is its ``valid``."""
COLUMNS = ("", "count", "hate_speech", "offensive_language", "neither", "class", "tweet")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and what it may be.

    Attributes:
        text: What somebody said.
        labels: Those of ``LABELS`` that it may have, at least one.
        source: Name of the data set.
        context: What was said before, oldest turn first; empty where that is not known.
    """

    text: str
    labels: frozenset[str]
    source: str
    context: tuple[str, ...] = ()

    @property
    def safe(self) -> bool:
        """Whether the data set takes the text for safe."""
        return SAFE in self.labels


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
        label = SAFE if row.label == "Safe" else CATEGORIES[row.category]
        if row.response.strip():
            yield Labelled(row.response, frozenset({label}), "diasafety", (row.context,))


def davidson(root: Path, split: Split) -> Iterator[Labelled]:
    """Yield tweets.

    Raises:
        DataError: The file is missing or malformed, or ``split`` is "test", which there is none.
    """
    if split == "test":
        raise DataError("davidson: no split 'test'; use 'train' or 'valid'")
    labels = {"0": HATE, "1": OFFENSIVE, "2": SAFE}
    path = root / "safety" / "davidson" / "labeled_data.csv"
    for row in read_csv(path, COLUMNS):
        if row["class"] not in labels:
            raise DataError(f"{path}: class is {row['class']!r}, expected 0, 1 or 2")
        text = html.unescape(row["tweet"])
        if (uniform("holdout", "davidson", text) < HELD_OUT) == (split == "valid"):
            yield Labelled(text, frozenset({labels[row["class"]]}), "davidson")


def tweeteval_offensive(root: Path, split: Split) -> Iterator[Labelled]:
    """Yield tweets, offensive or not; the offensive ones may be hate.

    Raises:
        DataError: A file is missing or malformed.
    """
    return _tweeteval(root, "offensive", split, no=frozenset({SAFE}), yes={OFFENSIVE, HATE})


def tweeteval_hate(root: Path, split: Split) -> Iterator[Labelled]:
    """Yield tweets, hate or not; what is not hate may be offensive.

    Raises:
        DataError: A file is missing or malformed.
    """
    return _tweeteval(root, "hate", split, no={SAFE, OFFENSIVE}, yes=frozenset({HATE}))


SOURCES: dict[str, Callable[[Path, Split], Iterator[Labelled]]] = {
    "davidson": davidson,
    "diasafety": diasafety,
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


def _tweeteval(
    root: Path,
    kind: str,
    split: Split,
    *,
    no: set[str] | frozenset[str],
    yes: set[str] | frozenset[str],
) -> Iterator[Labelled]:
    folder = root / "safety" / "tweeteval" / kind
    path = folder / f"{_file_name(split)}_labels.txt"
    labels = dict(read_lines(path))
    # An empty tweet leaves an empty line, which is not read; the numbers of the lines tell.
    for number, text in read_lines(folder / f"{_file_name(split)}_text.txt"):
        label = labels.get(number)
        if label not in ("0", "1"):
            raise DataError(f"{path}: line {number}: {label!r}, expected 0 or 1")
        if text.strip():
            yield Labelled(text, frozenset(yes if label == "1" else no), f"tweeteval_{kind}")


def _file_name(split: Split) -> str:
    return "val" if split == "valid" else split
