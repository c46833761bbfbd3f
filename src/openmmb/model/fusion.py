"""Where pictures meet words.

Sizes: B rows, S context tokens, I image vectors, F features in each, D model width.
"""

import torch
from torch import Tensor, nn

from openmmb.model.config import ModelConfig


class ImageProjector(nn.Module):
    """Map image vectors into the width of the encoder: linear layers with ReLU between."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(config.image_dim, config.embed_dim)]
        for _ in range(config.image_layers - 1):
            layers += [
                nn.ReLU(),
                nn.Dropout(config.dropout),
                nn.Linear(config.embed_dim, config.embed_dim),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """(B, I, F) -> (B, I, D)."""
        projected: Tensor = self.layers(image)
        return projected


def append_image(
    text: Tensor, text_mask: Tensor, image: Tensor, image_mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Put image vectors after the text.

    Args:
        text: (B, S, D).
        text_mask: (B, S) bool, True at real tokens.
        image: (B, I, D).
        image_mask: (B, I) bool, True at vectors of a picture that is there.

    Returns:
        States (B, S+I, D) and their mask (B, S+I).
    """
    return torch.cat([text, image], dim=1), torch.cat([text_mask, image_mask], dim=1)
