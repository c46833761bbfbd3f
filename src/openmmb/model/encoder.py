"""The encoder: words, and a picture if there is one, in; states out.

Sizes: B rows, S context tokens, I image vectors, F features in each, R states that a vector
becomes, D model width.
"""

from torch import Tensor, nn

from openmmb.model.config import EncoderShape, Fusion
from openmmb.model.fusion import ImageProjector, append_image
from openmmb.model.layers import EncoderLayer, Positions, layer_norm
from openmmb.model.lean import Dropout
from openmmb.model.linear import Embedding, Linear, LinearFactory
from openmmb.model.stack import Stack

TEXT, IMAGE = 0, 1
"""Segments."""


class Encoder(nn.Module):
    """Read words and a picture (ParlAI's ``ContextWithImageEncoder``), or words alone.

    Args:
        shape: Shape of its layers.
        num_layers: Number of layers.
        linear: Builds their linear layers.
        projector: Maps image vectors into the width of the encoder; None: there are no pictures.
        fusion: Where a picture joins the words; without one, ``late`` is a plain encoder of text.
    """

    def __init__(
        self,
        shape: EncoderShape,
        num_layers: int,
        linear: LinearFactory = Linear,
        *,
        projector: ImageProjector | None = None,
        fusion: Fusion = "late",
    ) -> None:
        super().__init__()
        self.shape = shape
        self.fusion = fusion
        self.positions = Positions(shape)
        self.segments = (
            Embedding(shape.num_segments, shape.embed_dim) if shape.num_segments else None
        )
        self.image_projector = projector
        self.layers = Stack(EncoderLayer(shape, linear) for _ in range(num_layers))
        self.norm = layer_norm(shape) if shape.variant != "aiayn" else None
        self.dropout = Dropout(shape.dropout)

    def forward(
        self,
        words: Tensor,
        words_mask: Tensor,
        image: Tensor | None = None,
        image_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Encode token embeddings and image vectors.

        Args:
            words: (B, S, D) token embeddings, already scaled.
            words_mask: (B, S) bool, True at real tokens.
            image: (B, I, F); None: no row has a picture.
            image_mask: (B, I) bool, with ``image``.

        Returns:
            States (B, S+I*R, D), text first, and their mask (B, S+I*R).
        """
        words = words + self.positions(0, words.shape[1])
        if self.segments is not None:
            words = words + self.segments.weight[TEXT]
        if self.fusion == "late":
            text = self._run(self._norm_embeddings(words), words_mask)
            return self._append(text, words_mask, image, image_mask)
        states, mask = self._append(words, words_mask, image, image_mask)
        if self.shape.variant == "xlm":  # in early fusion ParlAI leaves bart's out
            states = self._norm_embeddings(states)
        return self._run(states, mask), mask

    def _append(
        self, text: Tensor, text_mask: Tensor, image: Tensor | None, image_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Put a picture after the text.

        Without one the projector stays out of it: no gradient at all, as in ParlAI, where a
        gradient of zero would let an optimiser's momentum move its weights on.
        """
        if self.image_projector is None or image is None or image_mask is None:
            return text, text_mask
        projected = self.image_projector(image)
        if self.segments is not None and self.fusion == "early":
            projected = projected + self.segments.weight[IMAGE]
        image_mask = image_mask.repeat_interleave(self.image_projector.num_states, dim=1)
        return append_image(text, text_mask, projected, image_mask)

    def _norm_embeddings(self, x: Tensor) -> Tensor:
        if self.norm is None or self.shape.variant == "prelayernorm":
            return x
        normed: Tensor = self.norm(x)
        return normed

    def _run(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.layers.run(self.dropout(x), mask[:, None, None, :])
        if self.norm is not None and self.shape.variant == "prelayernorm":
            x = self.norm(x)
        return x * self.shape.output_scaling
