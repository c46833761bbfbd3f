"""Who looks at whom in one sequence of picture, context and replies, and where each stands.

Sizes: B rows, M picture vectors and context tokens, T reply tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def positions_of(mask: Tensor) -> Tensor:
    """(B, M), counting what is there; anything at padding."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def looks_back(mask: Tensor) -> Tensor:
    """Mask (B, M) -> (B, M, M): each looks at what counts up to itself, padding at itself only.

    If padding looked at nothing, its weights would not be numbers.
    """
    itself = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    return (mask[:, None] & torch.ones_like(itself).tril()) | itself


def reply_mask(memory_mask: Tensor, reply: Tensor, blocks: Tensor | None) -> Tensor:
    """(B, T, M + T), what the tokens of replies look at."""
    rows, length = reply.shape
    own = torch.ones(rows, length, length, dtype=torch.bool, device=reply.device).tril()
    if blocks is not None:
        own &= blocks[:, :, None] == blocks[:, None]
    return torch.cat([memory_mask[:, None].expand(-1, length, -1), own], dim=2)


def whole_mask(prefix_mask: Tensor, reply: Tensor, blocks: Tensor | None) -> Tensor:
    """(B, M + T, M + T), what everything looks at where all is run over in one pass."""
    rows, length = prefix_mask.shape
    beyond = prefix_mask.new_zeros(rows, length, reply.shape[1])
    prefix = torch.cat([looks_back(prefix_mask), beyond], dim=2)
    return torch.cat([prefix, reply_mask(prefix_mask, reply, blocks)], dim=1)


def shifted(reply: Tensor, start_id: int, blocks: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the token before each token of replies, and each one's offset in its reply: (B, T)."""
    before = F.pad(reply[:, :-1], (1, 0), value=start_id)
    offsets = torch.arange(reply.shape[1], device=reply.device).expand_as(reply)
    if blocks is None:
        return before, offsets
    begins = F.pad(blocks[:, 1:] != blocks[:, :-1], (1, 0), value=True)
    first = offsets.masked_fill(~begins, 0).cummax(dim=1).values
    return before.masked_fill(begins, start_id), offsets - first
