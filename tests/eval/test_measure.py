"""A report has the numbers that the metrics alone would give, task by task."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from openmmb.checkpoint import Checkpoint
from openmmb.data.batcher import Batcher
from openmmb.data.controls import Controls, ControlsConfig
from openmmb.data.encode import EncodeConfig
from openmmb.data.example import Example
from openmmb.eval.captions import evaluate_captions
from openmmb.eval.measure import measure_tasks, steered_perplexity
from openmmb.eval.perplexity import loss_of, perplexity_of
from openmmb.eval.replies import Measures, measure_replies, settings_for
from tests.build import TINY_F, TINY_I, plain_engine, tiny_checkpoint, tiny_example, tiny_tokenizer

TALK = [tiny_example(conversation=f"train:{number}") for number in range(3)]
CAPTIONS = [
    tiny_example(context=(), image_id=f"p{number}", references=("Dogs run.",))
    for number in range(4)
]


def vectors(image_id: str) -> torch.Tensor:
    return torch.full((TINY_I, TINY_F), float(image_id[1:]))


def batcher(*, gender: bool = False) -> Batcher:
    return Batcher(
        tokenizer=tiny_tokenizer(),
        config=EncodeConfig(max_context=48, max_pinned=8, max_reply=24),
        controls=Controls(config=ControlsConfig(gender=gender), polarities={}, seed=0),
        views=(vectors,),
        image_shape=(TINY_I, TINY_F),
    )


def measured(checkpoint: Checkpoint, examples: Sequence[Example]) -> float:
    tokenizer = checkpoint.tokenizer
    loss = loss_of(checkpoint.model, start_id=tokenizer.start_id, banned_ids=tokenizer.unsaid_ids())
    rows = [batcher().row(example, 0) for example in examples]
    return perplexity_of(loss, batcher().batches(rows, batch_size=2), checkpoint.model.device)


def test_each_task_has_its_perplexity_and_captions_their_bleu() -> None:
    checkpoint = tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F, gender="f0m0")
    talk, captions = measure_tasks(
        plain_engine(checkpoint), {"talk": TALK, "captions": CAPTIONS}, batcher(), batch_size=2
    )
    assert (talk.task, talk.examples, talk.bleu4, talk.bleu4_controlled) == ("talk", 3, None, None)
    assert talk.perplexity == measured(checkpoint, TALK)
    free = evaluate_captions(plain_engine(checkpoint), CAPTIONS, vectors)
    controlled = evaluate_captions(plain_engine(checkpoint), CAPTIONS, vectors, gender="f0m0")
    assert (captions.bleu4, captions.bleu4_controlled) == (free.bleu4, controlled.bleu4)
    assert (captions.cider, captions.cider_controlled) == (free.cider, controlled.cider)
    assert free.captions != controlled.captions
    assert talk.replies == captions.replies == ()


def test_without_a_control_there_is_one_bleu_and_one_perplexity() -> None:
    checkpoint = tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F)
    assert checkpoint.config == replace(checkpoint.config, gender=None)
    (report,) = measure_tasks(plain_engine(checkpoint), {"captions": CAPTIONS}, batcher())
    assert report.bleu4 is not None
    assert report.bleu4_controlled is report.cider_controlled is None
    assert report.perplexity_uncontrolled is report.perplexity_controlled is None


def test_perplexity_is_told_with_and_without_the_control() -> None:
    checkpoint = tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F, gender="f0m0")
    (report,) = measure_tasks(plain_engine(checkpoint), {"talk": TALK}, batcher(gender=True))
    # "my father taught me": each reply's own control is f0m1.
    own = steered_perplexity(checkpoint.model, TALK, batcher(), "f0m1", batch_size=2)
    assert report.perplexity == pytest.approx(own)
    free = measured(checkpoint, TALK)
    assert report.perplexity_uncontrolled == pytest.approx(free)
    forced = steered_perplexity(checkpoint.model, TALK, batcher(), "f0m0", batch_size=2)
    assert report.perplexity_controlled == pytest.approx(forced)
    assert len({report.perplexity, report.perplexity_uncontrolled, forced}) == 3


def test_replies_are_measured_in_every_setting_and_counted_up_to_the_last() -> None:
    checkpoint = tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F, gender="f0m0")
    measures, seen = Measures(checks=()), list[tuple[int, int]]()
    reports = list(
        measure_tasks(
            plain_engine(checkpoint),
            {"talk": TALK, "captions": CAPTIONS},
            batcher(),
            measures=measures,
            ban=True,
            batch_size=2,
            progress=lambda done, total: seen.append((done, total)),
        )
    )
    # Three settings of three, five of four; and captions twice.
    total = 3 * 3 + 5 * 4 + 2 * 4
    assert {of for _, of in seen} == {total}
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (total, total)
    for report, examples in zip(reports, (TALK, CAPTIONS), strict=True):
        assert report.replies == tuple(
            measure_replies(
                plain_engine(checkpoint), examples, vectors, setting, measures, batch_size=2
            )
            for setting in settings_for(checkpoint.config, examples, ban=True)
        )


def test_replies_are_asked_for_in_the_styles_of_the_perplexity_and_the_report_says_which() -> None:
    checkpoint = tiny_checkpoint(image_vectors=TINY_I, image_dim=TINY_F)
    styled = [replace(one, style="Sweet") for one in TALK]
    plain = batcher()
    always = ControlsConfig(category_frac=1.0)
    swapped = replace(
        plain,
        controls=Controls(config=always, polarities={"Sweet": "positive/neutral"}, seed=0),
    )
    measures = Measures(checks=())
    engine = plain_engine(checkpoint)
    positive = [replace(one, style="positive/neutral") for one in TALK]
    for used, asked, told in (
        (plain, styled, "as they are"),
        (swapped, positive, "100% by controls, others as they are"),
    ):
        [report] = measure_tasks(engine, {"talk": styled}, used, measures=measures)
        assert report.styles == told
        assert report.perplexity == pytest.approx(measured(checkpoint, asked), rel=1e-4)
        assert report.replies[0] == measure_replies(
            engine, asked, None, settings_for(engine.config, asked, ban=False)[0], measures
        )
    [bare] = measure_tasks(engine, {"talk": TALK}, plain)
    assert bare.styles is None
