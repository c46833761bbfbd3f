"""Texts for a classifier: labelled ones, ordinary conversation, plain sentences, listed phrases.

Each source has three sets of texts: to learn from, to calibrate on (held out of the former), and
to measure on.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from openmmb.data.controls import NEGATIVE
from openmmb.data.draw import pick, uniform
from openmmb.data.example import Example
from openmmb.errors import DataError
from openmmb.safety.guard import NO_CLASSIFIER, Guard, GuardConfig, open_guard
from openmmb.safety.lists import bundled_phrases
from openmmb.tasks.labelled import HATE, OFFENSIVE, UNFIT, Labelled, read_labelled
from openmmb.tasks.mixture import TaskConfig, read_task
from openmmb.tasks.polarities import read_polarities

NEUTRAL = "neutral"
"""Name of the plain sentences as a source."""
LISTED = "listed"
"""Name of the guard's phrases as a source."""
KINDS = {
    "slur": frozenset({HATE, OFFENSIVE}),
    "hate": frozenset({HATE, OFFENSIVE}),
    "threat": frozenset({"threat"}),
    "insult": frozenset({OFFENSIVE}),
    "sexual": frozenset({"sexual"}),
    "profanity": frozenset({OFFENSIVE}),
    "self_harm": frozenset({"self_harm"}),
    "minor": frozenset({"minor"}),
}
"""Labels of a text with a phrase of a category."""
MAX_FORMS = 8
"""Most forms of one phrase."""
ALONE, CONTEXT_LENT, CONTEXT_LOST = 0.4, 0.1, 0.25
"""Shares of texts that are learnt without their context, or with another's: ``with_context``."""
LONGEST_CARRIER = 80
"""Characters of the ordinary texts that phrases are put into."""

_CHOICE = re.compile(r"\(([^()]*)\)")


@dataclass(frozen=True)
class Source:
    """The texts of one data set.

    Attributes:
        name: Name of the data set.
        weight: How many times an epoch goes through it.
        train: To learn from.
        calibrate: To calibrate on; never learnt from.
        valid: To measure on; never learnt from either.
        ordinary: Whether it is ordinary conversation, all of it taken for safe.
    """

    name: str
    weight: float
    train: Sequence[Labelled]
    calibrate: Sequence[Labelled]
    valid: Sequence[Labelled]
    ordinary: bool = False


def read_source(name: str, weight: float, root: Path, *, calibrate: float) -> Source:
    """Read a labelled data set.

    Args:
        name: As in ``tasks.labelled``.
        weight: How many times an epoch goes through it.
        root: The folder that holds all data sets.
        calibrate: Share of the train split to calibrate on.

    Raises:
        ConfigError: There is no such data set.
        DataError: Its files are missing or malformed.
    """
    texts = read_labelled(name, root, "train")
    held_out = [uniform("calibrate", name, text.text) < calibrate for text in texts]
    return Source(
        name=name,
        weight=weight,
        train=_kept(name, (t for t, out in zip(texts, held_out, strict=True) if not out)),
        calibrate=[text for text, out in zip(texts, held_out, strict=True) if out],
        valid=read_labelled(name, root, "valid"),
    )


def read_conversation(config: TaskConfig, root: Path, *, calibrate: float) -> Source:
    """Read conversations, all of which count as safe.

    Replies in a negative style are left out, and none that holds a listed phrase is learnt.

    Args:
        config: As for a model that talks.
        root: The folder that holds all data sets.
        calibrate: Share of the conversations to calibrate on.

    Raises:
        ConfigError: There is no such task.
        DataError: Its files are missing or malformed, or have nothing to learn from; or it has
            styles, and the polarities of styles are missing.
    """
    examples = read_task(config, root)
    guard = open_guard(GuardConfig(classifier=NO_CLASSIFIER))
    train: list[Example] = []
    held_out: list[Example] = []
    for example in without_negative(examples.train, root):
        share = uniform("calibrate", example.task, example.conversation)
        (held_out if share < calibrate else train).append(example)
    return Source(
        name=config.name,
        weight=config.weight,
        train=_kept(config.name, (as_safe(e) for e in train if _is_fine(e, guard))),
        calibrate=[as_safe(example) for example in held_out],
        valid=[as_safe(example) for example in without_negative(examples.valid, root)],
        ordinary=True,
    )


def read_unkind(config: TaskConfig, root: Path, *, calibrate: float) -> Source:
    """Read the replies in a negative style of conversations in which such replies insult.

    Raises:
        ConfigError: There is no such task.
        DataError: Its files are missing or malformed, or no reply has a negative style.
    """
    examples = read_task(config, root)
    train: list[Labelled] = []
    held_out: list[Labelled] = []
    for example in _negative(examples.train, root):
        share = uniform("calibrate", example.task, example.conversation)
        (held_out if share < calibrate else train).append(_as_unkind(example))
    return Source(
        name=f"unkind/{config.name}",
        weight=config.weight,
        train=_kept(config.name, iter(train)),
        calibrate=held_out,
        valid=[_as_unkind(example) for example in _negative(examples.valid, root)],
    )


def without_negative(examples: Sequence[Example], root: Path) -> list[Example]:
    """Return the examples whose reply has no style, or one that is positive or neutral.

    Raises:
        DataError: There are styles, and the file of their polarities is missing.
    """
    negative = _negative(examples, root)
    if not negative:
        return list(examples)
    left_out = {id(example) for example in negative}
    return [example for example in examples if id(example) not in left_out]


def as_safe(example: Example) -> Labelled:
    """Label the reply of an example as safe."""
    return Labelled(example.reply, frozenset(), example.task, example.context, side="bot")


def _as_unkind(example: Example) -> Labelled:
    labels = frozenset({UNFIT, "offending_user", "insult"})
    known = labels | {"minor", "self_harm", "danger"}
    return Labelled(example.reply, labels, example.task, example.context, known, side="bot")


def _negative(examples: Sequence[Example], root: Path) -> list[Example]:
    """Return the examples whose reply has a negative style."""
    if all(example.style is None for example in examples):
        return []
    polarities = read_polarities(root)
    negative = {NEGATIVE, *(style for style, is_ in polarities.items() if is_ == NEGATIVE)}
    return [example for example in examples if example.style in negative]


def read_neutral(weight: float) -> Source:
    """Read the plain sentences of this project."""
    train = [Labelled(text, frozenset(), NEUTRAL) for text in neutral_texts()]
    return Source(NEUTRAL, weight, train, (), ())


def read_listed(weight: float, talk: Sequence[Labelled]) -> Source:
    """Read the phrases that the guard refuses, half of them beside something ordinary.

    Args:
        weight: How many times an epoch goes through them.
        talk: Ordinary texts.
    """
    short = [text.text for text in talk if len(text.text) <= LONGEST_CARRIER]
    train = []
    for number, (phrase, labels) in enumerate(listed_phrases()):
        side = pick(4, "place", number)
        text = phrase
        if side < 2 and short:
            other = short[pick(len(short), "carrier", number)]
            text = f"{phrase} {other}" if side else f"{other} {phrase}"
        train.append(Labelled(text, labels, LISTED, known=labels))
    return Source(LISTED, weight, train, (), ())


def listed_phrases() -> Iterator[tuple[str, frozenset[str]]]:
    """Yield some forms of each of the guard's phrases, and the labels that it may have."""
    for number, phrase in enumerate(bundled_phrases()):
        if phrase.category not in KINDS or phrase.inside is not None:
            continue
        slots = [sorted(slot) for slot in phrase.slots]
        forms = (
            " ".join(
                word
                for at, slot in enumerate(slots)
                for word in slot[pick(len(slot), "form", number, form, at)]
            )
            for form in range(MAX_FORMS)
        )
        for text in dict.fromkeys(forms):
            yield text, KINDS[phrase.category]


def neutral_texts() -> Iterator[str]:
    """Yield harmless sentences that a careless classifier takes for unsafe."""
    text = (resources.files("openmmb.training.classifier") / "neutral.txt").read_text(
        encoding="utf-8"
    )
    for line in text.splitlines():
        if line and not line.startswith("#"):
            pieces = _CHOICE.split(line)  # the choices stand at odd indices
            choices = [piece.split("|") if at % 2 else [piece] for at, piece in enumerate(pieces)]
            for chosen in itertools.product(*choices):
                yield " ".join("".join(chosen).split())


def with_context(text: Labelled, others: Sequence[Labelled], *key: str | int) -> Labelled:
    """Lend a text that has no context one, one time of ten; take a known one away now and then.

    Ordinary talk is learnt without its context four times of ten and with another's one time of
    ten, since a small model's replies often do not fit; replies of a labelled set without it a
    quarter of the time, since what is bad by itself must be known by itself. This project's lines
    stay as they are.
    """
    chance = uniform("context", *key)
    lent = others[pick(len(others), "other", *key)].context[-1:] if others else ()
    if text.source == "guard":
        return text
    if text.source == "diasafety":
        return text if chance >= CONTEXT_LOST else replace(text, context=())
    if not text.context:
        return replace(text, context=lent if chance < CONTEXT_LENT else ())
    if chance < ALONE:
        return replace(text, context=())
    return replace(text, context=lent) if chance < ALONE + CONTEXT_LENT and lent else text


def _kept(name: str, texts: Iterator[Labelled]) -> list[Labelled]:
    kept = list(texts)
    if not kept:
        raise DataError(f"{name}: no texts to learn from")
    return kept


def _is_fine(example: Example, guard: Guard) -> bool:
    return guard.judge(example.reply).safe
