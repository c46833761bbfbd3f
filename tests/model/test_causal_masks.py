"""Every position looks at what counts before it, at itself, and at nothing of another reply."""

import torch
from torch import Tensor

from openmmb.model.causal_masks import looks_back, positions_of, reply_mask, shifted, whole_mask

PREFIX = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]]).bool()
REPLY = torch.tensor([[5, 6, 7, 8, 9]] * 3)
BLOCKS = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 0, 0], [0, 1, 2, 2, 2]])


def slow_mask(prefix: list[bool], blocks: list[int]) -> Tensor:
    """One row, position by position."""
    length, read = len(prefix) + len(blocks), len(prefix)
    mask = torch.zeros(length, length, dtype=torch.bool)
    for query in range(length):
        for key in range(query + 1):
            if key < read:
                mask[query, key] = prefix[key] or key == query
            else:
                mask[query, key] = blocks[query - read] == blocks[key - read]
    return mask


def test_the_mask_equals_its_plain_twin() -> None:
    for blocks in (BLOCKS, None):
        found = whole_mask(PREFIX, REPLY, blocks)
        rows = torch.zeros_like(BLOCKS) if blocks is None else blocks
        for row in range(len(PREFIX)):
            assert found[row].equal(slow_mask(PREFIX[row].tolist(), rows[row].tolist()))


def test_nothing_looks_at_nothing() -> None:
    """Weights over nothing are no numbers, and zero times such a number is none either."""
    assert looks_back(PREFIX).any(-1).all()
    assert reply_mask(PREFIX, REPLY, BLOCKS).any(-1).all()


def test_positions_count_what_is_there() -> None:
    assert positions_of(PREFIX)[PREFIX].tolist() == [0, 1, 0, 1, 2, 3]


def test_every_reply_begins_anew() -> None:
    before, offsets = shifted(REPLY, 1, BLOCKS)
    assert before.tolist() == [[1, 5, 1, 7, 8], [1, 5, 6, 7, 8], [1, 1, 1, 7, 8]]
    assert offsets.tolist() == [[0, 1, 0, 1, 2], [0, 1, 2, 3, 4], [0, 0, 0, 1, 2]]
    before, offsets = shifted(REPLY, 1, None)
    assert (before[0].tolist(), offsets[0].tolist()) == ([1, 5, 6, 7, 8], [0, 1, 2, 3, 4])
