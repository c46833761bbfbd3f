"""Labelled texts are read as published, each with all labels that its data set leaves open."""

import json
from pathlib import Path

import pytest

from openmmb.errors import ConfigError, DataError
from openmmb.tasks.labelled import HELD_OUT, LABELS, SOURCES, parse_line, read_labelled

REPLIES = [
    {
        "context": "I feel ill.",
        "response": "See a doctor.",
        "category": "Risk Ignorance",
        "label": "Safe",
    },
    {
        "context": "I feel ill.",
        "response": "So what.",
        "category": "Risk Ignorance",
        "label": "Unsafe",
    },
]
HEADER = ",count,hate_speech,offensive_language,neither,class,tweet"


def write_diasafety(root: Path, rows: list[dict[str, str]], name: str = "train.json") -> None:
    folder = root / "safety" / "diasafety"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(rows), encoding="utf-8")


def write_davidson(root: Path, rows: list[tuple[str, str]]) -> None:
    folder = root / "safety" / "davidson"
    folder.mkdir(parents=True)
    lines = [f'{at},3,0,0,3,{kind},"{text}"' for at, (kind, text) in enumerate(rows)]
    (folder / "labeled_data.csv").write_text("\n".join([HEADER, *lines]), encoding="utf-8")


def write_tweeteval(root: Path, kind: str, texts: list[str], labels: list[str]) -> None:
    folder = root / "safety" / "tweeteval" / kind
    folder.mkdir(parents=True)
    for name in ("train", "val"):
        (folder / f"{name}_text.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
        (folder / f"{name}_labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")


def test_diasafety_yields_replies_in_their_context(tmp_path: Path) -> None:
    write_diasafety(tmp_path, REPLIES)
    first, second = read_labelled("diasafety", tmp_path, "train")
    assert (first.text, first.context, first.labels) == (
        "See a doctor.",
        ("I feel ill.",),
        frozenset(),
    )
    assert second.labels == {"unfit", "risk_ignorance"}
    assert "toxicity_agreement" in first.known
    assert "toxicity_agreement" not in second.known
    assert (first.safe, second.safe) == (True, False)


def test_the_valid_split_is_called_val(tmp_path: Path) -> None:
    write_diasafety(tmp_path, REPLIES[:1], "val.json")
    assert len(read_labelled("diasafety", tmp_path, "valid")) == 1


def test_davidson_is_split_by_the_text(tmp_path: Path) -> None:
    rows = [(str(at % 3), f"Tweet &amp; number {at}") for at in range(600)]
    write_davidson(tmp_path, rows)
    train = read_labelled("davidson", tmp_path, "train")
    valid = read_labelled("davidson", tmp_path, "valid")
    assert len(train) + len(valid) == 600
    assert 0.5 * HELD_OUT < len(valid) / 600 < 1.5 * HELD_OUT
    assert not {t.text for t in train} & {t.text for t in valid}
    kinds = ({"hate", "offensive"}, {"offensive"}, set[str]())
    assert {t.labels for t in train} == set(map(frozenset, kinds))
    assert all(t.labels <= t.known for t in train)
    assert "Tweet & number 1" in {t.text for t in (*train, *valid)}


def test_tweets_that_are_not_hate_may_be_offensive(tmp_path: Path) -> None:
    write_tweeteval(tmp_path, "hate", ["one", "", "two"], ["1", "0", "0"])
    write_tweeteval(tmp_path, "offensive", ["one", "two"], ["1", "0"])
    hate = read_labelled("tweeteval_hate", tmp_path, "train")
    offensive = read_labelled("tweeteval_offensive", tmp_path, "valid")
    assert [(t.text, t.labels) for t in hate] == [
        ("one", frozenset({"hate"})),
        ("two", frozenset()),
    ]
    assert [t.known for t in hate] == [{"hate"}] * 2
    assert [t.labels for t in offensive] == [{"offensive"}, set()]
    assert offensive[0].known == {"offensive"}
    assert "insult" in offensive[1].known
    assert [t.safe for t in (*hate, *offensive)] == [False, True, False, True]


def test_openings_tell_of_sorrow_or_of_none_by_their_emotion(tmp_path: Path) -> None:
    folder = tmp_path / "empathetic_dialogues"
    folder.mkdir()
    header = "conv_id,utterance_idx,context,prompt,speaker_idx,utterance,selfeval,tags"
    emotions = ("lonely", "proud", "angry", "joyful")
    rows = [
        f"hit:{at},{number},{emotions[at % 4]},p,0,Turn {number} of {at}_comma_ yes.,,"
        for at in range(400)
        for number in (1, 2)
    ]
    (folder / "valid.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    train = read_labelled("emotions", tmp_path, "train")
    valid = read_labelled("emotions", tmp_path, "valid")
    assert len(train) + len(valid) == 300  # the angry ones are left out
    assert 0.5 * HELD_OUT < len(valid) / 300 < 1.5 * HELD_OUT
    assert not {t.text for t in train} & {t.text for t in valid}
    assert all(t.text.startswith("Turn 1 of ") and ", yes" in t.text for t in train)
    assert sum("sorrow" in t.labels for t in (*train, *valid)) == 100
    assert all(t.safe and "sorrow" in t.known for t in (*train, *valid))
    (folder / "valid.csv").write_text(f"{header}\nhit:0,1,sad\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"valid\.csv: line 2: 3 fields, expected 8 or 9"):
        read_labelled("emotions", tmp_path, "train")


def test_no_label_is_there_twice() -> None:
    assert len(set(LABELS)) == len(LABELS) == 15


def test_lines_of_this_project_are_split_by_family(tmp_path: Path) -> None:
    train = read_labelled("guard", tmp_path, "train")
    valid = read_labelled("guard", tmp_path, "valid")
    assert len(train) + len(valid) == 4914
    assert 0.1 < len(valid) / 4914 < 0.3
    assert not {t.family for t in train} & {t.family for t in valid}
    replies = [{turn for t in ts if t.side == "bot" for turn in t.context} for ts in (train, valid)]
    assert not replies[0] & replies[1]
    assert {label for t in (*train, *valid) for label in t.labels} == set(LABELS)
    assert all(t.labels <= t.known for t in (*train, *valid))
    with pytest.raises(DataError, match="no split 'test'"):
        read_labelled("guard", tmp_path, "test")


@pytest.mark.parametrize("text", ["{}", '{"text": 3}', "[]", "{"])
def test_a_line_that_is_none_is_named(text: str) -> None:
    with pytest.raises(DataError, match=r"own\.jsonl: line 7"):
        parse_line(text, Path("own.jsonl"), 7)


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"guard"}))
def test_missing_files_are_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"(safety|empathetic_dialogues)/.*No such file"):
        read_labelled(name, tmp_path, "train")


def test_what_is_malformed_is_named(tmp_path: Path) -> None:
    write_diasafety(tmp_path, [{**REPLIES[0], "label": "Maybe"}])
    with pytest.raises(DataError, match=r"train.json: 0: .*label 'Maybe'; expected one of"):
        read_labelled("diasafety", tmp_path, "train")
    write_davidson(tmp_path, [("7", "a tweet")])
    with pytest.raises(DataError, match="class is '7', expected 0, 1 or 2"):
        read_labelled("davidson", tmp_path, "train")
    with pytest.raises(DataError, match="no split 'test'; use 'train' or 'valid'"):
        read_labelled("davidson", tmp_path, "test")
    write_tweeteval(tmp_path, "hate", ["one", "two"], ["1"])
    with pytest.raises(DataError, match="line 2: None, expected 0 or 1"):
        read_labelled("tweeteval_hate", tmp_path, "train")


def test_an_unknown_data_set_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'davidsen'; did you mean 'davidson'\?$"):
        read_labelled("davidsen", tmp_path, "train")
