"""Image vectors come after the text, each put into the encoder's width on its own."""

import torch

from openmmb.model.fusion import ImageProjector, append_image
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
    projector = ImageProjector(tiny_config())
    one, other = torch.rand(1, TINY_I, TINY_F), torch.rand(1, TINY_I, TINY_F)
    nothing = projector(torch.zeros(1, TINY_I, TINY_F))
    both = projector(one) + projector(other) - nothing
    torch.testing.assert_close(projector(one + other), both)


def test_more_layers_bend_and_see_each_vector_alone() -> None:
    projector = ImageProjector(tiny_config(image_layers=3)).eval()
    image = torch.rand(2, TINY_I, TINY_F)
    projected = projector(image)
    assert projected.shape == (2, TINY_I, 16)
    torch.testing.assert_close(projector(image[1:, 2:3]), projected[1:, 2:3])
    torch.testing.assert_close(projector(image.flip(1)), projected.flip(1))
    assert not torch.allclose(projector(2 * image) - projected, projected)
