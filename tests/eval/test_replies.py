"""A model's replies are measured one by one, and a report is their mean."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from openmmb.checkpoint import Checkpoint
from openmmb.data.example import Example
from openmmb.engine.generate import generate
from openmmb.engine.open import Engine
from openmmb.eval.metrics import bleu4, f1, rouge_l
from openmmb.eval.replies import (
    OWN_LISTS,
    UNPLEASANT,
    Measures,
    ReplyReport,
    Setting,
    measure_replies,
    settings_for,
)
from openmmb.eval.saved import SavedReplies
from openmmb.eval.sentiment import sentiment
from openmmb.eval.variety import commonest_share, distinct_2
from openmmb.safety.classifier import ClassifierCheck
from openmmb.safety.verdict import Verdict
from openmmb.text.gender import GenderWords, gender_token
from tests.build import SENTENCES, TINY_F, TINY_I, plain_engine, tiny_checkpoint, tiny_example

LISTS = GenderWords(male=frozenset({"he"}), female=frozenset({"she"}))


def vectors(image_id: str) -> torch.Tensor:
    return torch.full((TINY_I, TINY_F), float(len(image_id)))


def odd_length(text: str, context: Sequence[str]) -> Verdict:
    return Verdict(safe=len(text) % 2 == 0, score=0.7, check="odd")


def judge_second(texts: Sequence[tuple[str, Sequence[str]]]) -> torch.Tensor:
    """Find every text unsafe that was said after something."""
    rows = [[0.2, 0.8] if context else [0.9, 0.1] for _, context in texts]
    return torch.tensor(rows)


MEASURES = Measures(
    checks=(odd_length, ClassifierCheck(("ok", "bad"), ("bad",), 0.5, judge_second)),
    gender_words={OWN_LISTS: LISTS},
)


@pytest.fixture
def checkpoint() -> Checkpoint:
    return tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F, gender="f0m0")


@pytest.fixture
def engine(checkpoint: Checkpoint) -> Engine:
    return plain_engine(checkpoint)


def talk() -> list[Example]:
    return [
        tiny_example(context=(said,) if at else (), image_id="p" * at if at % 2 else None)
        for at, said in enumerate(SENTENCES)
    ]


def test_a_report_is_the_mean_of_what_was_said(engine: Engine) -> None:
    setting = Setting("mine", "f0m0", "Sweet")
    report = measure_replies(engine, talk(), vectors, setting, MEASURES, batch_size=4)
    asked = [replace(example, gender="f0m0", style="Sweet") for example in talk()]
    images = [None if e.image_id is None else vectors(e.image_id) for e in asked]
    found = generate(engine, asked, images, engine.config.search)
    said = [hypotheses[0].text for hypotheses in found]
    people = [[example.reply] for example in asked]

    def mean(values: Sequence[float]) -> float:
        return pytest.approx(sum(values) / len(values))  # type: ignore[return-value]

    assert report == ReplyReport(
        setting="mine",
        replies=len(said),
        f1=mean([f1(text, others) for text, others in zip(said, people, strict=True)]),
        bleu4=mean([bleu4(text, others) for text, others in zip(said, people, strict=True)]),
        rouge_l=mean([rouge_l(text, others) for text, others in zip(said, people, strict=True)]),
        sentiment=mean([sentiment(text) for text in said]),
        unpleasant=mean([sentiment(text) <= UNPLEASANT for text in said]),
        words=mean([len(text.split()) for text in said]),
        distinct_2=distinct_2(said),
        commonest=commonest_share(said),
        offensive={
            "odd": mean([len(text) % 2 for text in said]),
            "classifier": mean([bool(example.context) for example in asked]),
        },
        male={OWN_LISTS: mean(["m1" in gender_token(text, LISTS) for text in said])},
        female={OWN_LISTS: mean(["f1" in gender_token(text, LISTS) for text in said])},
    )


def test_what_was_saved_is_not_searched_for_again(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = Setting("mine")
    saved = SavedReplies(tmp_path / "replies.jsonl", "m")
    part = measure_replies(engine, talk()[:3], vectors, setting, MEASURES, saved=saved)
    assert len(saved) == part.replies == 3
    progress = list[int]()
    whole = measure_replies(
        engine,
        talk(),
        vectors,
        setting,
        MEASURES,
        saved=saved,
        batch_size=4,
        progress=progress.append,
    )
    assert progress == [4, 2]
    assert whole == measure_replies(engine, talk(), vectors, setting, MEASURES)
    again = SavedReplies(tmp_path / "replies.jsonl", "m")

    def refuse(*_: object) -> None:
        raise AssertionError("everything is known")

    monkeypatch.setattr(engine, "read", refuse)
    assert whole == measure_replies(engine, talk(), vectors, setting, MEASURES, saved=again)


def test_replies_with_banned_words_have_none(checkpoint: Checkpoint, engine: Engine) -> None:
    every = Measures(checks=())
    with torch.no_grad():  # an untrained model says no words; this one says "his"
        tokenizer = checkpoint.tokenizer
        wanted = tokenizer.encode(" man, his wife, he,")
        checkpoint.model.embeddings.weight[wanted] *= 3
    free = measure_replies(engine, talk(), vectors, Setting("free"), every)
    banned = measure_replies(engine, talk(), vectors, Setting("ban", ban=True), every)
    assert banned.male == banned.female == {OWN_LISTS: 0}
    assert free.replies == banned.replies


def test_settings_compare_what_a_checkpoint_can_do(checkpoint: Checkpoint) -> None:
    plain = [tiny_example()]
    shown = [*plain, tiny_example(image_id="p")]

    def names(examples: list[Example], *, gender: str | None, ban: bool) -> list[str]:
        config = replace(checkpoint.config, gender=gender)
        return [setting.name for setting in settings_for(config, examples, ban=ban)]

    assert names(plain, gender=None, ban=False) == ["uncontrolled"]
    assert names(plain, gender="f0m0", ban=True) == ["uncontrolled", "f0m0", "f0m0, banned"]
    assert names(shown, gender="f0m0", ban=False) == [
        "uncontrolled",
        "f0m0",
        "positive/neutral",
        "negative",
    ]
    assert names(plain, gender=None, ban=True) == ["uncontrolled", "uncontrolled, banned"]


def test_a_setting_leaves_an_examples_style_unless_it_has_one() -> None:
    example = tiny_example(style="Sweet")
    assert Setting("free").apply(example) == replace(example, gender=None)
    assert Setting("x", "f0m0", "negative").apply(example).style == "negative"


def test_what_cannot_be_measured_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="no examples to reply to"):
        measure_replies(engine, [], vectors, Setting("free"), MEASURES)
    with pytest.raises(ValueError, match="picture 'p' has no image vectors"):
        measure_replies(engine, [tiny_example(image_id="p")], None, Setting("free"), MEASURES)


def test_the_share_that_speaks_of_a_persona_is_of_those_that_have_one(
    engine: Engine, tmp_path: Path
) -> None:
    setting = Setting("mine")
    assert measure_replies(engine, talk(), vectors, setting, MEASURES).persona is None
    with_persona = [replace(one, persona=("I keep bees.",)) for one in talk()[:3]]
    saved = SavedReplies(tmp_path / "replies.jsonl", "m")
    for one, text in zip(with_persona, ["My bees sleep.", "I am.", "Bees? No."], strict=True):
        saved.add(setting.name, setting.apply(one), {"reply": text})
    examples = [*with_persona, *talk()[3:]]
    report = measure_replies(engine, examples, vectors, setting, MEASURES, saved=saved)
    assert report.persona == pytest.approx(2 / 3)
