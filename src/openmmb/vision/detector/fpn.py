"""The pyramid: what the coarse grids understand is carried down to the fine ones.

Lin et al., "Feature Pyramid Networks for Object Detection" (2017). The modules keep the names of
the published weights.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class Pyramid(nn.Module):
    """Make grids of equal width out of those of the body.

    Args:
        inputs: Channels of each grid of the body, finest first.
        width: Channels of every grid of the pyramid.
    """

    def __init__(self, *, inputs: Sequence[int], width: int) -> None:
        super().__init__()
        self._levels = range(1, len(inputs) + 1)
        for level, channels in zip(self._levels, inputs, strict=True):
            self.add_module(f"fpn_inner{level}", nn.Conv2d(channels, width, kernel_size=1))
            self.add_module(f"fpn_layer{level}", nn.Conv2d(width, width, kernel_size=3, padding=1))

    def forward(self, grids: Sequence[Tensor]) -> list[Tensor]:
        """Grids (1, channels, h, w), each half as fine as the one before -> one more of ``width``.

        The additional last one is every second cell of the one before it.
        """
        pyramid: list[Tensor] = []
        coarser: Tensor | None = None
        for level, grid in zip(reversed(self._levels), reversed(grids), strict=True):
            merged = self.get_submodule(f"fpn_inner{level}")(grid)
            if coarser is not None:
                merged += F.interpolate(coarser, scale_factor=2.0, mode="nearest")
            pyramid.insert(0, self.get_submodule(f"fpn_layer{level}")(merged))
            coarser = merged
        return [*pyramid, pyramid[-1][:, :, ::2, ::2]]
