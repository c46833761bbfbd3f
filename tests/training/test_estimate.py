"""What an update will take is counted: it is what a real update takes where one runs."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from openmmb.data.batch import Batch
from openmmb.data.encode import EncodeConfig
from openmmb.eval.perplexity import loss_of
from openmmb.model.config import SIZES, ModelConfig
from openmmb.model.seq2seq import Seq2Seq
from openmmb.tasks.mixture import TaskConfig
from openmmb.training.estimate import Estimate, Hardware, estimate
from openmmb.training.replies.config import DataConfig, Recipe
from openmmb.training.run.config import OptimConfig
from openmmb.training.run.optim import build_optimizer, train_step
from openmmb.training.run.placement import choose_trainable
from tests.build import tiny_config, tiny_model

BIG = Recipe(
    name="big",
    out="big",
    tasks=(TaskConfig(name="image_chat"),),
    data=DataConfig(features="features", batch_size=128, accumulate=2),
    precision="bf16",
    encode=EncodeConfig(),
)


def full_batch(recipe: Recipe, shape: ModelConfig, rows: int) -> Batch:
    assert recipe.encode is not None
    context = torch.ones(rows, recipe.encode.max_context, dtype=torch.int64)
    reply = torch.ones(rows, recipe.encode.max_reply, dtype=torch.int64)
    return Batch(
        context=context,
        context_mask=context > 0,
        reply=reply,
        reply_mask=reply > 0,
        target_mask=reply > 0,
        blocks=torch.zeros_like(reply),
        image=torch.zeros(rows, shape.image_vectors, shape.image_dim),
        has_image=torch.ones(rows, dtype=torch.bool),
    )


def kept_and_flops(model: Seq2Seq, batch: Batch) -> tuple[int, int]:
    """Bytes that a real forward pass keeps, each memory once, and products of a whole update."""
    own = {weight.data_ptr() for weight in model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with FlopCounterMode(display=False) as counter:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss, _ = loss_of(model, start_id=0)(batch)
        loss.backward()  # type: ignore[no-untyped-call]
    sizes = [t.untyped_storage().nbytes() for pointer, t in kept.items() if pointer not in own]
    return sum(sizes), counter.get_total_flops()


def tiny(recipe: Recipe = BIG) -> tuple[Recipe, ModelConfig]:
    shape = tiny_config(num_positions=128, learned_positions=True)
    data = replace(recipe.data, batch_size=6, accumulate=1)
    return replace(recipe, data=data, precision="fp32"), shape


def test_it_counts_what_a_real_update_does() -> None:
    recipe, shape = tiny()
    model = tiny_model(shape).train()
    found = estimate(recipe, shape, devices=1)
    kept, flops = kept_and_flops(model, full_batch(recipe, shape, 6))
    assert recipe.encode is not None
    gradient = 6 * recipe.encode.max_reply * shape.vocab_size * 4
    assert found.flops == pytest.approx(flops, rel=0.02)
    assert found.activations + found.logits - gradient == pytest.approx(kept, rel=0.2)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_weights_gradients_and_moments_are_those_of_an_optimiser(amsgrad: bool) -> None:
    recipe, shape = tiny(replace(BIG, optim=OptimConfig(amsgrad=amsgrad)))
    model = tiny_model(shape)
    optimizer = build_optimizer(model, recipe.optim)
    batch = full_batch(recipe, shape, 2)
    train_step([batch], loss_of(model, start_id=0), optimizer, max_grad_norm=1.0)
    found = estimate(recipe, shape, devices=1)
    assert found.parameters == model.num_parameters()
    assert found.weights == sum(w.nbytes for w in model.parameters())
    assert found.gradients == sum(w.grad.nbytes for w in model.parameters() if w.grad is not None)
    steps = len(optimizer.state)
    moments = sum(t.nbytes for state in optimizer.state.values() for t in state.values())
    assert found.moments == moments - 4 * steps
    assert (found.gathered, found.exchanged) == (0, 0)


def test_adafactor_keeps_rows_and_columns() -> None:
    recipe, shape = tiny(replace(BIG, optim=OptimConfig(name="adafactor")))
    model = tiny_model(shape)
    optimizer = build_optimizer(model, recipe.optim)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    moments = sum(t.nbytes for state in optimizer.state.values() for t in state.values())
    assert estimate(recipe, shape, devices=1).moments == moments - 4 * len(optimizer.state)


@pytest.fixture(scope="module")
def whole() -> Estimate:
    return estimate(BIG, SIZES["2.7B"], devices=1)


def test_the_largest_model_has_the_size_that_its_tensors_have(whole: Estimate) -> None:
    with torch.device("meta"):
        model = Seq2Seq(SIZES["2.7B"])
    count = sum(weight.numel() for weight in model.parameters())
    assert whole.parameters == count
    assert whole.weights == 4 * count
    assert whole.gathered == 2 * count  # the copy in bf16
    assert 2.6e9 < count < 2.8e9


def test_eight_devices_share_and_exchange(whole: Estimate) -> None:
    eight = estimate(BIG, SIZES["2.7B"], devices=8)
    for name in ("weights", "gradients", "moments"):
        assert getattr(eight, name) == pytest.approx(getattr(whole, name) / 8, abs=1)
    assert eight.activations == pytest.approx(whole.activations / 8, rel=0.01)
    assert eight.flops == pytest.approx(whole.flops, rel=0.01)
    assert eight.exchanged > whole.exchanged == 0
    assert eight.total < 80e9 < whole.total
    products, exchange = eight.seconds(Hardware(flops=1e15, use=0.5, link=1e11))
    assert products == pytest.approx(eight.flops / 8 / 5e14)
    assert exchange == pytest.approx(eight.exchanged / 1e11)


def test_computing_again_keeps_less_and_takes_longer(whole: Estimate) -> None:
    again = estimate(replace(BIG, activation_checkpointing=True), SIZES["2.7B"], devices=1)
    assert again.activations < whole.activations / 10
    assert 1.3 < again.flops / whole.flops < 1.34


def test_fewer_bits_keep_less(whole: Estimate) -> None:
    narrow = estimate(replace(BIG, memory_efficient=True), SIZES["2.7B"], devices=1)
    assert narrow.weights == whole.weights / 2
    assert narrow.gradients == whole.gradients / 2
    assert narrow.moments == whole.moments
    assert narrow.gathered == 0


def test_there_is_at_least_one_device() -> None:
    with pytest.raises(ValueError, match="devices must be at least 1, got 0"):
        estimate(BIG, tiny_config(), devices=0)


def test_frozen_weights_cost_no_gradient_and_fewer_products(whole: Estimate) -> None:
    recipe = replace(BIG, trainable=("decoder.*",), frozen_precision="bf16")
    partly = estimate(recipe, SIZES["2.7B"], devices=1)
    with torch.device("meta"):
        model = Seq2Seq(SIZES["2.7B"])
    learns = sum(w.numel() for w in model.decoder.parameters() if w.requires_grad)
    frozen = partly.parameters - learns
    assert partly.parameters == whole.parameters
    assert partly.gradients == 4 * learns
    assert partly.weights == 4 * learns + 2 * frozen
    assert partly.gathered == 2 * learns  # only what is kept in fp32 is copied to bf16
    assert partly.flops < 0.95 * whole.flops
    eight, all_eight = (estimate(r, SIZES["2.7B"], devices=8) for r in (recipe, BIG))
    assert eight.exchanged < all_eight.exchanged


def test_the_products_of_a_network_that_learns_in_part_are_counted() -> None:
    """Attention as written out: the products of a CPU's own kernel are not counted."""
    recipe, shape = tiny(replace(BIG, trainable=("encoder.*",)))
    model = tiny_model(shape).train()
    choose_trainable(model, recipe.trainable)
    with sdpa_kernel(SDPBackend.MATH):
        _, flops = kept_and_flops(model, full_batch(recipe, shape, 6))
    assert estimate(recipe, shape, devices=1).flops == pytest.approx(flops, rel=0.02)
