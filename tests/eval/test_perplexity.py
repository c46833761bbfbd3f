"""A perplexity is over tokens, however they are batched."""

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from openmmb.data.batcher import Batcher
from openmmb.data.controls import Controls, ControlsConfig
from openmmb.data.encode import EncodeConfig, encode
from openmmb.eval.perplexity import loss_of, perplexity_of
from openmmb.model.loss import perplexity
from tests.build import SENTENCES, TINY_F, TINY_I, tiny_example, tiny_model, tiny_tokenizer

EXAMPLES = [
    tiny_example(context=(said,), reply=reply, image_id="p" if place == 2 else None)
    for place, (said, reply) in enumerate(pairwise(SENTENCES))
]
BATCHER = Batcher(
    tokenizer=tiny_tokenizer(),
    config=EncodeConfig(max_context=64, max_pinned=8, max_reply=64),
    controls=Controls(config=ControlsConfig(), polarities={}, seed=0),
    views=(lambda image_id: torch.ones(TINY_I, TINY_F) * len(image_id),),
    image_shape=(TINY_I, TINY_F),
)


def slow_loss(place: int) -> tuple[float, int]:
    """One example on its own, token by token; what no reply is made of has no probability."""
    model, row = tiny_model(), encode(EXAMPLES[place], BATCHER.tokenizer, BATCHER.config)
    image = torch.ones(1, TINY_I, TINY_F) if row.image_id else None
    context = torch.tensor([row.context])
    memory = model.read(context, torch.ones_like(context, dtype=torch.bool), image)
    reply = torch.tensor([row.reply])
    logits = model.logits(model.predict(reply, memory, BATCHER.tokenizer.start_id))[0]
    logits[:, BATCHER.tokenizer.unsaid_ids()] = -torch.inf
    chances = F.log_softmax(logits, dim=-1)
    return -sum(chances[at, token].item() for at, token in enumerate(row.reply)), len(row.reply)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_it_does_not_depend_on_the_batches(batch_size: int) -> None:
    losses, counts = zip(*(slow_loss(place) for place in range(len(EXAMPLES))), strict=True)
    expected = math.exp(sum(losses) / sum(counts))
    tokenizer, model = BATCHER.tokenizer, tiny_model()
    loss = loss_of(model, start_id=tokenizer.start_id, banned_ids=tokenizer.unsaid_ids())
    rows = [BATCHER.row(example, 0) for example in EXAMPLES]
    found = perplexity_of(loss, BATCHER.batches(rows, batch_size=batch_size), model.device)
    assert found == pytest.approx(expected, rel=1e-5)


def test_bf16_is_close() -> None:
    batch = BATCHER.collate([BATCHER.row(EXAMPLES[0], 0)])
    loss = loss_of(tiny_model(), start_id=BATCHER.tokenizer.start_id)
    plain, _ = loss(batch)
    with torch.autocast("cpu", torch.bfloat16):
        half, _ = loss(batch)
    assert half.item() != plain.item()
    assert half.item() == pytest.approx(plain.item(), rel=0.02)


def test_extremes_have_a_perplexity() -> None:
    assert perplexity(0.0, 0) == 1
    assert math.isfinite(perplexity(1e6, 1))
    assert math.isnan(perplexity(math.nan, 1))
