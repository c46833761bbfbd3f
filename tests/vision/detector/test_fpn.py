"""Every grid of the pyramid knows what the coarser ones saw."""

import torch

from openmmb.vision.detector.fpn import Pyramid


def test_sizes_are_those_of_the_grids_and_one_more_of_every_second_place() -> None:
    pyramid = Pyramid(inputs=(3, 5), width=4)
    grids = pyramid([torch.randn(1, 3, 8, 12), torch.randn(1, 5, 4, 6)])
    assert [tuple(grid.shape) for grid in grids] == [(1, 4, 8, 12), (1, 4, 4, 6), (1, 4, 2, 3)]
    assert torch.equal(grids[2], grids[1][:, :, ::2, ::2])


def test_a_fine_place_sums_its_own_and_the_coarse_one_above_it() -> None:
    pyramid = Pyramid(inputs=(3, 5), width=4)
    fine, coarse = torch.randn(1, 3, 4, 4), torch.randn(1, 5, 2, 2)
    inner = [pyramid.get_submodule(f"fpn_inner{n}")(g) for n, g in ((1, fine), (2, coarse))]
    above = torch.stack([inner[1][..., y // 2, x // 2] for y in range(4) for x in range(4)], -1)
    expected = pyramid.get_submodule("fpn_layer1")(inner[0] + above.view(1, 4, 4, 4))
    torch.testing.assert_close(pyramid([fine, coarse])[0], expected)
