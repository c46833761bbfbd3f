"""The shapes of all kinds of networks as one type."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from openmmb.model.causal_config import CausalConfig
from openmmb.model.config import ModelConfig

SEQ2SEQ, CAUSAL = "<seq2seq>", "<causal>"
"""Tags of the kinds; in brackets, so that ``config`` knows them from keys."""


def _kind(shape: Any) -> str:
    """Return the kind of a shape, or of its table in a file: there ``kind`` says it."""
    kind = shape.get("kind") if isinstance(shape, dict) else getattr(shape, "kind", None)
    return SEQ2SEQ if kind is None else f"<{kind}>"


Shape = Annotated[
    Annotated[ModelConfig, Tag(SEQ2SEQ)] | Annotated[CausalConfig, Tag(CAUSAL)],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message="kind must be 'causal', or left out for an encoder and a decoder",
    ),
]
"""What decides a network's tensors; ``kind`` says which network it is."""
