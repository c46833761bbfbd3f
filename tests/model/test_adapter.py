"""Adapters begin as nothing, train alone, and merge into what they were."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from openmmb.engine.packed import PackedLinear
from openmmb.model.adapter import AdapterConfig, adapt, is_adapted, merge, own_names
from openmmb.model.causal import CausalLM
from openmmb.model.loss import token_loss
from tests.model.causal import SHAPES, Inputs, inputs, network

START = 1
CONFIG = AdapterConfig(rank=2, alpha=3.0, first_token=3, num_tokens=4)


def logits(model: CausalLM, given: Inputs) -> Tensor:
    return model.logits(model(*given.read(), given.reply, START))


def learn(model: CausalLM, given: Inputs, *, updates: int = 3) -> None:
    optimizer = torch.optim.Adam([w for w in model.parameters() if w.requires_grad], lr=0.05)
    for _ in range(updates):
        optimizer.zero_grad()
        token_loss(logits(model, given).flatten(0, 1), given.reply.flatten()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@pytest.mark.parametrize("name", SHAPES)
def test_a_new_adapter_changes_nothing(name: str) -> None:
    model, given = network(SHAPES[name]), inputs()
    with torch.no_grad():
        before = logits(model, given)
        adapt(model, CONFIG)
        torch.testing.assert_close(logits(model, given), before, rtol=0, atol=1e-6)
    assert is_adapted(model)


@pytest.mark.parametrize("name", SHAPES)
def test_merging_changes_nothing_but_the_network_is_plain_again(name: str) -> None:
    model, given = network(SHAPES[name]), inputs()
    plain = {key: weight.shape for key, weight in model.state_dict().items()}
    adapt(model, CONFIG)
    before = logits(model, given)
    learn(model, given)
    learnt = logits(model, given)
    assert (learnt - before).abs().max() > 0.1
    merge(model)
    torch.testing.assert_close(logits(model, given), learnt, rtol=1e-5, atol=1e-4)
    assert {key: weight.shape for key, weight in model.state_dict().items()} == plain
    assert not is_adapted(model)


def test_only_what_is_its_own_trains() -> None:
    model, given = network(), inputs()
    adapt(model, CONFIG)
    assert {n for n, w in model.named_parameters() if w.requires_grad} == {*own_names(model)}
    before = copy.deepcopy(model.state_dict())
    learn(model, given)
    changed = {n for n, w in model.state_dict().items() if not w.equal(before[n])}
    assert changed == {*own_names(model)}


def test_targets_are_those_that_are_named() -> None:
    model = network()
    adapt(model, replace(CONFIG, targets=("attention.qkv",), num_tokens=0))
    own = [name for name in own_names(model) if not name.startswith("image_")]
    expected = [f"layers.{n}.attention.qkv.{part}" for n in range(3) for part in ("down", "up")]
    assert own == expected


def test_a_trained_token_is_read_and_written_anew() -> None:
    model = network()
    adapt(model, CONFIG)
    table = model.embeddings
    with torch.no_grad():
        before = table(torch.arange(10)), table.scores(torch.ones(1, 24))
        model.get_parameter("embeddings.rows").add_(1.0)
        after = table(torch.arange(10)), table.scores(torch.ones(1, 24))
    rows = (after[0] != before[0]).any(1).nonzero().flatten().tolist()
    columns = (after[1] != before[1]).any(0).nonzero().flatten().tolist()
    assert rows == columns == [3, 4, 5, 6]


def test_halves_of_precision_train_in_full() -> None:
    """The frozen network is bf16; what trains is float32, with autocast and without."""
    given = inputs()
    for cast in (False, True):
        model = network().bfloat16()
        adapt(model, CONFIG)
        with torch.autocast("cpu", torch.bfloat16, enabled=cast):
            loss = token_loss(logits(model, given).flatten(0, 1), given.reply.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        ups = [model.get_parameter(name) for name in own_names(model) if name.endswith("up")]
        assert all(weight.grad is not None and weight.grad.any() for weight in ups)
        assert all(weight.dtype == torch.float32 for weight in ups)


def test_a_second_adapter_is_refused() -> None:
    model = network()
    adapt(model, CONFIG)
    with pytest.raises(ValueError, match="has adapters already; merge them first"):
        adapt(model, CONFIG)


def test_a_layer_that_cannot_learn_gets_no_adapter() -> None:
    with torch.device("meta"):
        packed = CausalLM(SHAPES["smollm2"], PackedLinear)
    with pytest.raises(
        ValueError, match=r"attention\.qkv is a PackedLinear; adapters need a plain"
    ):
        adapt(packed, CONFIG)


def test_tokens_beyond_the_vocabulary_are_refused() -> None:
    with pytest.raises(ValueError, match=r"num_tokens \(40\) must be at most 60 together"):
        adapt(network(), replace(CONFIG, first_token=30, num_tokens=40))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": 0}, "rank must be from 1 to 4096, got 0"),
        ({"first_token": -1}, "first_token must be at least 0, got -1"),
        ({"num_tokens": -1}, "num_tokens must be at least 0, got -1"),
    ],
)
def test_an_impossible_adapter_is_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)  # type: ignore[arg-type]
