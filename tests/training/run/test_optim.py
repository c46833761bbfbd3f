"""An update is of all its batches as if they were one, and is left out if it is not finite."""

import copy
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import pytest
import torch
from torch import Tensor

from openmmb.data.batch import Batch, collate
from openmmb.data.encode import EncodeConfig, Encoded, encode
from openmmb.eval import perplexity
from openmmb.model.seq2seq import Seq2Seq
from openmmb.training.run.config import OptimConfig
from openmmb.training.run.optim import build_optimizer, train_step
from tests.build import SENTENCES, TINY_F, TINY_I, tiny_config, tiny_example, tiny_model
from tests.build import tiny_tokenizer as tokenizer

ROWS = [
    encode(tiny_example(context=(said,), reply=reply), tokenizer(), EncodeConfig())
    for said, reply in pairwise(SENTENCES[:5])
]


def batch_of(rows: list[Encoded]) -> Batch:
    shape = (TINY_I, TINY_F)
    return collate(rows, [None] * len(rows), pad_id=tokenizer().pad_id, image_shape=shape)


def loss_of(model: Seq2Seq) -> Callable[[Batch], tuple[Tensor, int]]:
    return perplexity.loss_of(model, start_id=tokenizer().start_id)


def test_two_half_batches_equal_one() -> None:
    config = OptimConfig(lr=1e-2, eps=1e-4)
    updates, models = [], []
    for batches in ([ROWS], [ROWS[:2], ROWS[2:]], [ROWS[:1], ROWS[1:]]):
        model = tiny_model()
        optimizer = build_optimizer(model, config)
        for _ in range(3):
            batch = map(batch_of, batches)
            update = train_step(batch, loss_of(model), optimizer, max_grad_norm=1.0)
        updates.append(update)
        models.append(model)
    whole = models[0].state_dict()
    for update, model in zip(updates[1:], models[1:], strict=True):
        assert update.loss == pytest.approx(updates[0].loss, rel=1e-5)
        assert (update.tokens, update.skipped) == (updates[0].tokens, False)
        for name, weight in model.state_dict().items():
            torch.testing.assert_close(weight, whole[name], rtol=0, atol=1e-6)


def test_a_clipped_gradient_has_the_highest_norm() -> None:
    model = tiny_model()
    optimizer = build_optimizer(model, OptimConfig())
    update = train_step([batch_of(ROWS)], loss_of(model), optimizer, max_grad_norm=0.01)
    left = torch.stack([w.grad.norm() for w in model.parameters() if w.grad is not None]).norm()
    assert update.norm > 0.01
    assert left.item() == pytest.approx(0.01, rel=1e-3)


def test_a_scaled_loss_makes_the_same_update() -> None:
    models = [tiny_model(), tiny_model()]
    updates = [
        train_step(
            [batch_of(ROWS)],
            loss_of(model),
            build_optimizer(model, OptimConfig()),
            max_grad_norm=1.0,
            loss_scale=scale,
        )
        for model, scale in zip(models, (1.0, 2.0**10), strict=True)
    ]
    assert updates[0] == updates[1]  # a power of two costs no digit
    torch.testing.assert_close(models[0].state_dict(), models[1].state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(bad: float) -> None:
    model = tiny_model()
    optimizer = build_optimizer(model, OptimConfig())
    train_step([batch_of(ROWS)], loss_of(model), optimizer, max_grad_norm=1.0)
    weights = copy.deepcopy(model.state_dict())
    moments = copy.deepcopy(list(optimizer.state.values()))

    def one_bad_batch(batch: Batch) -> tuple[Tensor, int]:
        loss, tokens = loss_of(model)(batch)
        return loss * (bad if len(batch) == 1 else 1.0), tokens

    batches = [batch_of(ROWS[:3]), batch_of(ROWS[3:])]
    update = train_step(batches, one_bad_batch, optimizer, max_grad_norm=1.0)
    assert update.skipped
    torch.testing.assert_close(model.state_dict(), weights, rtol=0, atol=0)
    torch.testing.assert_close(list(optimizer.state.values()), moments, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["adam", "adamw", "adafactor"])
def test_only_matrices_decay(name: Literal["adam", "adamw", "adafactor"]) -> None:
    model = tiny_model()
    matrices, vectors = build_optimizer(
        model, OptimConfig(name=name, weight_decay=0.1)
    ).param_groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.1, 0.0)
    assert {weight.ndim for weight in matrices["params"]} == {2}
    assert {weight.ndim for weight in vectors["params"]} == {1}


@pytest.mark.parametrize("learned", [True, False])
def test_what_is_fixed_is_not_optimised(learned: bool) -> None:
    model = tiny_model(tiny_config(learned_positions=learned))
    groups = build_optimizer(model, OptimConfig()).param_groups
    optimised = {id(weight) for group in groups for weight in group["params"]}
    assert (id(model.encoder.positions.weight) in optimised) is learned
    assert len(optimised) == len(list(model.parameters())) - (0 if learned else 2)


def test_the_settings_arrive() -> None:
    config = OptimConfig(lr=3e-4, betas=(0.8, 0.9), eps=1e-7, amsgrad=True)
    group = build_optimizer(tiny_model(), config).param_groups[0]
    assert (group["lr"], group["betas"], group["eps"], group["amsgrad"]) == (
        3e-4,
        (0.8, 0.9),
        1e-7,
        True,
    )


def test_adafactor_keeps_a_row_and_a_column_of_each_matrix() -> None:
    model = tiny_model()
    optimizer = build_optimizer(model, OptimConfig(name="adafactor", eps=1e-5))
    assert optimizer.param_groups[0]["eps"] == (1e-5, 1e-3)
    train_step([batch_of(ROWS)], loss_of(model), optimizer, max_grad_norm=1.0)
    rows, width = model.embeddings.weight.shape
    state = optimizer.state[model.embeddings.weight]
    assert {key: tuple(value.shape) for key, value in state.items()} == {
        "step": (),
        "row_var": (rows, 1),
        "col_var": (1, width),
    }
