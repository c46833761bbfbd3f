"""Numbers of a mixture are those that counting one by one gives."""

from dataclasses import replace

import pytest

from openmmb.data.batcher import Batcher
from openmmb.data.controls import NEGATIVE, POSITIVE, Controls, ControlsConfig
from openmmb.data.encode import EncodeConfig, encode
from openmmb.tasks.statistics import DrawnTask, Lengths, TaskStatistics, describe, measure
from tests.build import SENTENCES, tiny_example, tiny_tokenizer

ENCODE = EncodeConfig(max_context=20, max_pinned=10, max_reply=15)
EXAMPLES = [
    replace(
        tiny_example(
            context=SENTENCES[:at],
            reply=SENTENCES[at % len(SENTENCES)],
            image_id=f"p{at // 2}" if at % 2 else None,
            style=("Sweet", "Angry", "Mysterious", None)[at % 4],
            persona=("i row.",) if at < 3 else (),
            conversation=str(at),
        )
    )
    for at in range(6)
]
CONTROLS = Controls(
    config=ControlsConfig(gender=True, category_frac=1.0),
    polarities={"Sweet": POSITIVE, "Angry": NEGATIVE},
    seed=0,
)
BATCHER = Batcher(
    tokenizer=tiny_tokenizer(), config=ENCODE, controls=CONTROLS, views=(), image_shape=(0, 0)
)


def test_lengths_and_controls_are_counted() -> None:
    found = measure(EXAMPLES, BATCHER, max_examples=100)
    encoded = [encode(CONTROLS.apply(e, 0), tiny_tokenizer(), ENCODE) for e in EXAMPLES]
    contexts, replies = (
        sorted(map(len, ids))
        for ids in zip(*((one.context, one.reply) for one in encoded), strict=True)
    )
    assert (found.examples, found.measured, found.pictures, found.with_picture) == (6, 6, 3, 0.5)
    assert found.context.mean == pytest.approx(sum(contexts) / 6)
    assert found.context.percentiles == (contexts[2], contexts[4], contexts[4], contexts[5])
    assert found.context.full == sum(length == 20 for length in contexts) / 6
    assert found.reply.mean == pytest.approx(sum(replies) / 6)
    assert found.reply.full == sum(length == 15 for length in replies) / 6
    tokens = [CONTROLS.apply(example, 0).gender for example in EXAMPLES]
    assert found.controls == {
        "persona": 3 / 6,
        POSITIVE: 2 / 6,
        NEGATIVE: 2 / 6,
        "trait": 1 / 6,
        **{str(token): tokens.count(token) / 6 for token in tokens},
    }


def test_a_part_of_the_examples_is_spread_over_all() -> None:
    many = [replace(EXAMPLES[0], reply="x" * (at // 100 + 1)) for at in range(1000)]
    found = measure(many, BATCHER, max_examples=10)
    assert (found.examples, found.measured) == (1000, 10)
    assert found.reply.percentiles[-1] == len(encode(many[-1], tiny_tokenizer(), ENCODE).reply)


def test_a_caption_is_one_of_the_captions() -> None:
    caption = tiny_example(context=(), reply="a", image_id="p", references=("b",) * 9)
    found = measure([caption], BATCHER, max_examples=1)
    assert found.reply.percentiles == (2, 2, 2, 2)


def drawn(name: str, weight: float, *, examples: int, measured: int = 1) -> DrawnTask:
    lengths = Lengths(mean=10.0 * examples, percentiles=(1, 2, 3, 4), full=0.25)
    return DrawnTask(
        name,
        weight,
        TaskStatistics(
            examples=examples,
            measured=measured,
            pictures=examples if name == "b" else 0,
            with_picture=float(name == "b"),
            context=lengths,
            reply=lengths,
            controls={"f0m0": 1.0} if name == "a" else {"f0m0": 0.5, "persona": 1.0},
        ),
    )


def test_a_mixture_is_weighed_as_training_draws_it() -> None:
    lines = describe([drawn("a", 3.0, examples=1), drawn("b", 0.5, examples=2)], batch_size=3)
    assert lines == [
        "task  examples  weight  drawn  pictures  context tokens: mean, 50 %/90 %/99 %/max  full   "
        "reply tokens: mean, 50 %/90 %/99 %/max  cut",
        "a     1         3       75.0%  -         10.0, 1 / 2 / 3 / 4                       25.0%  "
        "10.0, 1 / 2 / 3 / 4                     25.0%",
        "b     2         0.5     25.0%  2         20.0, 1 / 2 / 3 / 4                       25.0%  "
        "20.0, 1 / 2 / 3 / 4                     25.0%",
        "an epoch: 4 examples in 1 batches of 3; about 50 tokens of context and 50 of replies; "
        "25.0% about a picture",
        "lengths and controls are those of at most 1 examples of each task",
        "controls: f0m0 87.5%, persona 25.0%",
    ]


def test_without_controls_and_wholly_measured_that_is_said() -> None:
    task = drawn("a", 1.0, examples=1)
    plain = replace(task, statistics=replace(task.statistics, controls={}))
    lines = describe([plain], batch_size=1)
    assert lines[-1] == "controls: none"
    assert len(lines) == 4
