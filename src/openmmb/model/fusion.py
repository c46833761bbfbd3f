"""Where pictures meet words.

Sizes: B rows, S context tokens, I image vectors, F features in each, R states that a vector
becomes, D model width.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from openmmb.model.lean import Dropout
from openmmb.model.linear import Linear, LinearFactory


class PictureShape(Protocol):
    """What the projector needs to know of a network's shape."""

    @property
    def embed_dim(self) -> int: ...  # noqa: D102
    @property
    def image_dim(self) -> int: ...  # noqa: D102
    @property
    def image_layers(self) -> int: ...  # noqa: D102
    @property
    def image_tokens(self) -> int: ...  # noqa: D102
    @property
    def dropout(self) -> float: ...  # noqa: D102


class ImageProjector(nn.Module):
    """Map image vectors into the width of the encoder: linear layers with ReLU between.

    The layers are R * D wide, and each vector is cut into R states at the end.
    """

    def __init__(self, config: PictureShape, linear: LinearFactory = Linear) -> None:
        super().__init__()
        self.embed_dim, self.num_states = config.embed_dim, config.image_tokens
        width = config.image_tokens * config.embed_dim
        layers = [linear(config.image_dim, width)]
        for _ in range(config.image_layers - 1):
            layers += [
                nn.ReLU(),
                Dropout(config.dropout),
                linear(width, width),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """(B, I, F) -> (B, I * R, D), the states of a vector side by side."""
        projected: Tensor = self.layers(image)
        return projected.reshape(len(image), -1, self.embed_dim)


def append_image(
    text: Tensor, text_mask: Tensor, image: Tensor, image_mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Put image vectors after the text.

    Args:
        text: (B, S, D).
        text_mask: (B, S) bool, True at real tokens.
        image: (B, I*R, D).
        image_mask: (B, I*R) bool, True at states of a picture that is there.

    Returns:
        States (B, S+I*R, D) and their mask (B, S+I*R).
    """
    return torch.cat([text, image], dim=1), torch.cat([text_mask, image_mask], dim=1)
