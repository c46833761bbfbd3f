"""A row's states depend on its own words and picture and on nothing else."""

from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from openmmb.model.config import Fusion, Variant
from openmmb.model.seq2seq import Seq2Seq
from tests.build import TINY_F, TINY_I, tiny_config, tiny_model

CASES: tuple[tuple[Fusion, Variant], ...] = (
    *(("early", variant) for variant in ("prelayernorm", "xlm", "aiayn", "bart")),
    *(("late", variant) for variant in ("prelayernorm", "xlm", "aiayn", "bart")),
)
EITHER = pytest.mark.parametrize(("fusion", "variant"), CASES)


@dataclass(frozen=True)
class Inputs:
    """Contexts (B, S) of some lengths, pictures (B, I, F) for some rows."""

    context: Tensor
    mask: Tensor
    image: Tensor
    has_image: Tensor

    def alone(self, row: int, length: int) -> "Inputs":
        context, mask = self.context[row, None, :length], self.mask[row, None, :length]
        return Inputs(context, mask, self.image[row, None], self.has_image[row, None])


def random_inputs(lengths: list[int], pictures: list[bool], *, seed: int = 0) -> Inputs:
    source = torch.Generator().manual_seed(seed)
    context = torch.randint(4, 290, (len(lengths), max(lengths)), generator=source)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    image = torch.randn(len(lengths), TINY_I, TINY_F, generator=source)
    return Inputs(context, mask, image, torch.tensor(pictures))


def encode(model: Seq2Seq, inputs: Inputs) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        memory = model.read(inputs.context, inputs.mask, inputs.image, inputs.has_image)
    return memory.states, memory.mask


def build(fusion: Fusion, variant: Variant) -> Seq2Seq:
    segments = 2 if fusion == "early" else 0
    return tiny_model(tiny_config(fusion=fusion, variant=variant, num_segments=segments))


@EITHER
@given(
    lengths=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    pictures=st.lists(st.booleans(), min_size=4, max_size=4),
    seed=st.integers(0, 99),
)
def test_a_row_alone_has_the_states_that_it_has_in_a_batch(
    fusion: Fusion, variant: Variant, lengths: list[int], pictures: list[bool], seed: int
) -> None:
    model = build(fusion, variant)
    inputs = random_inputs(lengths, pictures[: len(lengths)], seed=seed)
    states, mask = encode(model, inputs)
    for row, length in enumerate(lengths):
        alone, alone_mask = encode(model, inputs.alone(row, length))
        torch.testing.assert_close(alone[alone_mask], states[row, mask[row]], atol=1e-5, rtol=1e-5)


@EITHER
def test_a_row_without_a_picture_is_a_row_of_text(fusion: Fusion, variant: Variant) -> None:
    model = build(fusion, variant)
    inputs = random_inputs([5, 3], [True, False])
    states, mask = encode(model, inputs)
    with torch.no_grad():
        text = model.read(inputs.context[1:, :3], inputs.mask[1:, :3])
    assert text.states.shape == (1, 3, 16)
    assert mask[1].sum() == text.mask.sum() == 3
    torch.testing.assert_close(states[1, :3], text.states[0], atol=1e-5, rtol=1e-5)


@EITHER
def test_what_stands_in_padding_and_in_missing_pictures_is_never_seen(
    fusion: Fusion, variant: Variant
) -> None:
    model = build(fusion, variant)
    inputs = random_inputs([5, 3], [True, False])
    states, mask = encode(model, inputs)
    changed = replace(
        inputs,
        context=torch.where(inputs.mask, inputs.context, 7),
        image=torch.where(inputs.has_image[:, None, None], inputs.image, 1e3),
    )
    again, again_mask = encode(model, changed)
    assert again_mask.equal(mask)
    torch.testing.assert_close(again[mask], states[mask], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", ["prelayernorm", "xlm", "aiayn", "bart"])
def test_late_fusion_lets_text_and_picture_pass_each_other(variant: Variant) -> None:
    model = build("late", variant)
    inputs = random_inputs([5], [True])
    states, _ = encode(model, inputs)
    other_picture, _ = encode(model, replace(inputs, image=inputs.image + 1))
    other_text, _ = encode(model, replace(inputs, context=inputs.context + 1))
    assert other_picture[:, :5].equal(states[:, :5])
    assert other_text[:, 5:].equal(states[:, 5:])
    assert not other_picture[:, 5:].equal(states[:, 5:])
    assert model.encoder.image_projector is not None
    projected = model.encoder.image_projector(inputs.image)
    torch.testing.assert_close(states[:, 5:], projected)


@pytest.mark.parametrize("variant", ["prelayernorm", "xlm", "aiayn", "bart"])
def test_early_fusion_lets_text_see_the_picture_and_the_picture_the_text(
    variant: Variant,
) -> None:
    model = build("early", variant)
    inputs = random_inputs([5], [True])
    states, _ = encode(model, inputs)
    other_picture, _ = encode(model, replace(inputs, image=inputs.image + 1))
    other_text, _ = encode(model, replace(inputs, context=inputs.context + 1))
    assert not torch.allclose(other_picture[:, :5], states[:, :5], atol=1e-4)
    assert not torch.allclose(other_text[:, 5:], states[:, 5:], atol=1e-4)


@EITHER
def test_image_vectors_have_no_order_and_words_have_one(fusion: Fusion, variant: Variant) -> None:
    model = build(fusion, variant)
    inputs = random_inputs([5], [True])
    states, _ = encode(model, inputs)
    mirrored, _ = encode(model, replace(inputs, image=inputs.image.flip(1)))
    torch.testing.assert_close(mirrored[:, :5], states[:, :5], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mirrored[:, 5:], states[:, 5:].flip(1), atol=1e-5, rtol=1e-5)
    turned, _ = encode(model, replace(inputs, context=inputs.context.flip(1)))
    assert not torch.allclose(turned[:, :5], states[:, :5].flip(1), atol=1e-3)


def test_segments_tell_words_from_image_vectors() -> None:
    model = build("early", "prelayernorm")
    inputs = random_inputs([5], [True])
    states, _ = encode(model, inputs)
    assert model.encoder.segments is not None
    with torch.no_grad():
        model.encoder.segments.weight[1] = torch.randn(16)
    changed, _ = encode(model, inputs)
    assert not torch.allclose(changed, states, atol=1e-4)


def test_without_segments_an_image_vector_is_a_word_without_a_place() -> None:
    model = tiny_model(tiny_config(num_segments=0))
    inputs = random_inputs([5], [True])
    states, mask = encode(model, inputs)
    assert model.encoder.image_projector is not None
    words = model.embeddings(inputs.context) * model.scale + model.encoder.positions(0, 5)
    both = torch.cat([words, model.encoder.image_projector(inputs.image)], dim=1)
    for layer in model.encoder.layers:
        both = layer(both, mask[:, None, None])
    assert model.encoder.norm is not None
    torch.testing.assert_close(model.encoder.norm(both).detach(), states, atol=1e-5, rtol=1e-5)


def test_output_scaling_multiplies_what_the_encoder_says() -> None:
    inputs = random_inputs([5], [True])
    plain, _ = encode(tiny_model(tiny_config()), inputs)
    scaled, _ = encode(tiny_model(tiny_config(output_scaling=0.5)), inputs)
    torch.testing.assert_close(scaled, plain * 0.5)


def test_a_context_longer_than_the_positions_is_refused() -> None:
    model = tiny_model(tiny_config(num_positions=4))
    with pytest.raises(ValueError, match="5 tokens, but the network has 4 positions"):
        encode(model, random_inputs([5], [False]))
