"""The detector, whole: from a canvas to regions.

Anderson et al., "Bottom-Up and Top-Down Attention" (2018) began to tell a picture by regions; this
network is the one of vqa-maskrcnn-benchmark, trained on Visual Genome.
"""

from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor, nn

from openmmb.vision.detector.backbone import Body
from openmmb.vision.detector.fpn import Pyramid
from openmmb.vision.detector.fused import can_fuse
from openmmb.vision.detector.preprocess import Canvas
from openmmb.vision.detector.proposals import ProposalHead, propose
from openmmb.vision.detector.regions import Regions, select
from openmmb.vision.detector.roi import BoxHead, pool
from openmmb.vision.detector.winograd import use_winograd

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of the network.

    Attributes:
        depths: Blocks of the body's stages.
        groups: Groups of its 3 x 3 convolutions.
        group_width: Channels of a group in the first stage.
        stem_dim: Channels of its stem.
        stage_dim: Channels that its first stage gives.
        pyramid_dim: Channels of the pyramid.
        feature_dim: F, features of a region.
        num_classes: With the background.
    """

    depths: tuple[int, ...]
    groups: int
    group_width: int
    stem_dim: int
    stage_dim: int
    pyramid_dim: int
    feature_dim: int
    num_classes: int


X152: Final = Shape(
    depths=(3, 8, 36, 3),
    groups=32,
    group_width=8,
    stem_dim=64,
    stage_dim=256,
    pyramid_dim=512,
    feature_dim=2048,
    num_classes=1601,
)
"""ResNeXt-152 32x8d."""


class FasterRCNN(nn.Module):
    """The network without the second regression of boxes, whose results nobody uses."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.body = Body(
            depths=shape.depths,
            groups=shape.groups,
            group_width=shape.group_width,
            stem_dim=shape.stem_dim,
            stage_dim=shape.stage_dim,
        )
        stages = [shape.stage_dim << stage for stage in range(len(shape.depths))]
        self.pyramid = Pyramid(inputs=stages, width=shape.pyramid_dim)
        self.proposals = ProposalHead(shape.pyramid_dim)
        self.head = BoxHead(
            width=shape.pyramid_dim,
            feature_dim=shape.feature_dim,
            num_classes=shape.num_classes,
        )

    def forward(self, canvas: Canvas) -> Regions:
        """Find the regions of one picture."""
        first = self.body.stem.conv1.weight
        height, width = canvas.pixels.shape[-2:]
        pyramid = self.pyramid(self.body(canvas.pixels.to(first.device, first.dtype)))
        boxes = propose(self.proposals, pyramid, height, width)
        features, logits = self.head(pool(pyramid, boxes))
        # The choice is thousands of tiny steps, each of which a GPU would be asked for.
        return select(_to_cpu(features), _to_cpu(logits), _to_cpu(boxes) / canvas.scale)

    def prepare(self, device: torch.device, precision: Precision) -> None:
        """Make ready for inference, and for nothing else, on ``device``.

        ``bf16`` holds for the convolutions; boxes, features and ratings stay float32.
        """
        self.body.fold_batch_norms()
        self.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if precision == "bf16":
            for module in (self.body, self.pyramid, self.proposals.conv):
                module.bfloat16()
        if can_fuse(device):
            self.body.fuse()
            self.head.fuse()
            if precision == "fp32":
                use_winograd(self.pyramid)
                use_winograd(self.proposals)


def _to_cpu(tensor: Tensor) -> Tensor:
    return tensor.float().cpu()
