"""Texts to learn from, to calibrate on and to measure on never mix; what is neutral stays so."""

from collections import Counter
from pathlib import Path

import pytest

from openmmb.errors import DataError
from openmmb.safety.guard import GuardConfig, open_guard
from openmmb.tasks.labelled import Labelled
from openmmb.tasks.mixture import TaskConfig, read_task
from openmmb.tasks.polarities import read_polarities
from openmmb.training.classifier.texts import (
    neutral_texts,
    read_conversation,
    read_listed,
    read_neutral,
    read_source,
    read_unkind,
    with_context,
)
from tests.build import write_tiny_data
from tests.training.classifier.build import write_labelled

SAFE = frozenset[str]()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_tiny_data(folder)
    write_labelled(folder)
    return folder


def test_a_text_is_in_one_part_alone(root: Path) -> None:
    source = read_source("davidson", 2.0, root, calibrate=0.2)
    parts = [
        {text.text for text in part} for part in (source.train, source.calibrate, source.valid)
    ]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 200
    assert 0.1 < len(source.calibrate) / len(source.train) < 0.4
    assert source.weight == 2.0
    assert not source.ordinary


def test_conversations_are_safe_with_their_contexts(root: Path) -> None:
    config = TaskConfig(name="convai2", both_sides=True)
    source = read_conversation(config, root, calibrate=0.001)
    assert source.ordinary
    assert source.train
    assert all(text.labels == SAFE and text.context for text in source.train)
    assert len(source.valid) == len(source.train)


def test_replies_in_a_negative_style_are_no_ordinary_talk(root: Path) -> None:
    config = TaskConfig(name="image_chat", weight=1.0)
    examples = read_task(config, root)
    negative = {s for s, polarity in read_polarities(root).items() if polarity == "negative"}
    assert {e.style for e in examples.train} & negative
    source = read_conversation(config, root, calibrate=0.001)
    fine = [e.reply for e in examples.train if e.style not in negative]
    assert [text.text for text in source.train] == fine


def test_replies_in_a_negative_style_can_be_learnt_as_unkind(root: Path) -> None:
    config = TaskConfig(name="image_chat", weight=0.5)
    examples = read_task(config, root)
    negative = {s for s, polarity in read_polarities(root).items() if polarity == "negative"}
    source = read_unkind(config, root, calibrate=0.001)
    unkind = [e.reply for e in examples.train if e.style in negative]
    assert [text.text for text in source.train] == unkind
    assert all(text.side == "bot" and "insult" in text.labels for text in source.train)
    assert (source.ordinary, source.weight) == (False, 0.5)
    with pytest.raises(DataError, match="convai2: no texts to learn from"):
        read_unkind(TaskConfig(name="convai2"), root, calibrate=0.1)


def test_neutral_sentences_are_many_and_the_guard_lets_most_pass() -> None:
    texts = list(neutral_texts())
    assert len(texts) == len(set(texts)) > 1000
    assert not [text for text in texts if "(" in text or "|" in text or "  " in text]
    guard = open_guard(GuardConfig(classifier="none"))
    refused = [text for text in texts if not guard.judge(text).safe]
    assert len(refused) < 0.03 * len(texts)
    assert all(text.labels == SAFE for text in read_neutral(1.0).train)


def test_neutral_sentences_are_not_those_of_the_test() -> None:
    path = Path(__file__).parents[2] / "safety" / "data" / "harmless.txt"
    held_out = {
        line.lower().rstrip(".?!") for line in path.read_text(encoding="utf-8").splitlines()
    }
    assert len(held_out - set(neutral_texts())) >= 60


def test_contexts_are_lent_and_lost_now_and_then() -> None:
    others = [Labelled("yes", SAFE, "convai2", ("oldest", f"turn {at}")) for at in range(9)]
    tweet = Labelled("a tweet", frozenset({"hate"}), "davidson")
    talk = Labelled("talk", SAFE, "convai2", ("before",))
    reply = Labelled("a reply", SAFE, "diasafety", ("before",))
    line = Labelled("a line", SAFE, "guard", ("before",))
    lent = Counter(bool(with_context(tweet, others, seed).context) for seed in range(400))
    changed = Counter(with_context(talk, others, seed).context for seed in range(400))
    lost = Counter(with_context(reply, others, seed).context for seed in range(400))
    assert 20 < lent[True] < 70
    assert 120 < changed[()] < 200
    assert 160 < changed["before",] < 240
    assert changed.total() - changed[()] - changed["before",] > 20
    assert 60 < lost[()] < 140
    assert set(lost) == {(), ("before",)}
    assert all(with_context(line, others, seed) == line for seed in range(50))
    assert len({with_context(tweet, others, seed).context for seed in range(200)}) > 5
    assert with_context(tweet, [], 1) == tweet


def test_listed_phrases_are_refused_by_the_guard_and_stand_alone_or_in_talk() -> None:
    talk = [Labelled("i had a nice day", SAFE, "convai2")]
    texts = read_listed(1.0, talk).train
    assert len(texts) > 1000
    assert not any(text.safe for text in texts)
    beside = [text for text in texts if "i had a nice day" in text.text]
    assert 0.4 < len(beside) / len(texts) < 0.6
    guard = open_guard(GuardConfig(classifier="none"))
    refused = [text for text in texts[::20] if not guard.judge(text.text).safe]
    assert len(refused) > 0.95 * len(texts[::20])
    assert not any("nice day" in text.text for text in read_listed(1.0, ()).train)
