"""Image vectors come after the text, each put into the encoder's width on its own."""

from dataclasses import replace

import torch
import torch.nn.functional as F

from openmmb.model.fusion import ImageProjector, append_image
from openmmb.model.initial import initialise
from openmmb.model.seq2seq import Seq2Seq
from tests.build import TINY_F, TINY_I, tiny_config


def test_image_vectors_and_their_mask_follow_the_text() -> None:
    text, image = torch.rand(2, 3, 4), torch.rand(2, 2, 4)
    text_mask = torch.tensor([[True, True, False], [True, False, False]])
    image_mask = torch.tensor([[True, True], [False, False]])
    states, mask = append_image(text, text_mask, image, image_mask)
    assert states[:, :3].equal(text)
    assert states[:, 3:].equal(image)
    assert mask.tolist() == [[True, True, False, True, True], [True] + [False] * 4]


def test_one_layer_is_a_linear_map() -> None:
    projector = initialise(ImageProjector(tiny_config()))
    one, other = torch.rand(1, TINY_I, TINY_F), torch.rand(1, TINY_I, TINY_F)
    nothing = projector(torch.zeros(1, TINY_I, TINY_F))
    both = projector(one) + projector(other) - nothing
    torch.testing.assert_close(projector(one + other), both)


def test_more_layers_bend_and_see_each_vector_alone() -> None:
    projector = initialise(ImageProjector(tiny_config(image_layers=3))).eval()
    image = torch.rand(2, TINY_I, TINY_F)
    projected = projector(image)
    assert projected.shape == (2, TINY_I, 16)
    torch.testing.assert_close(projector(image[1:, 2:3]), projected[1:, 2:3])
    torch.testing.assert_close(projector(image.flip(1)), projected.flip(1))
    assert not torch.allclose(projector(-image), -projected)


def test_between_two_layers_is_a_relu() -> None:
    projector = initialise(ImageProjector(tiny_config(image_layers=2))).eval()
    weights = projector.state_dict()
    first, second = (
        (weights[f"layers.{at}.weight"], weights[f"layers.{at}.bias"]) for at in (0, 3)
    )
    image = torch.randn(2, TINY_I, TINY_F)
    between = F.linear(image, *first)
    assert (between < 0).any()
    torch.testing.assert_close(projector(image), F.linear(between.clamp(min=0), *second))


def test_a_vector_may_become_several_states_side_by_side() -> None:
    projector = initialise(ImageProjector(replace(tiny_config(fusion="late"), image_tokens=3)))
    image = torch.rand(2, TINY_I, TINY_F)
    projected = projector(image)
    assert projected.shape == (2, TINY_I * 3, 16)
    torch.testing.assert_close(projector(image[1:, 2:3]), projected[1:, 6:9])
    whole = projector.layers(image)
    assert projected[:, 3:6].flatten(1).equal(whole[:, 1])


def test_the_states_of_a_vector_are_there_together() -> None:
    model = initialise(Seq2Seq(replace(tiny_config(fusion="late"), image_tokens=3))).eval()
    image = torch.rand(2, TINY_I, TINY_F)
    image[0, 1] = 0  # a region that was not found
    context = torch.full((2, 2), 5)
    mask = model.read(context, context > 0, image, torch.tensor([True, False])).mask
    assert mask[0, 2:].view(TINY_I, 3).tolist() == [[row != 1] * 3 for row in range(TINY_I)]
    assert not mask[1, 2:].any()
    memory = model.read(context, context > 0)
    states, mask = memory.states, memory.mask
    assert states.shape == (2, 2, 16)
    assert mask.all()
