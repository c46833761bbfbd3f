"""The same weights give what ParlAI 1.7.2 computes with them, in every variant and fusion.

``data/README.md`` says what is stored.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from openmmb.config import parse
from openmmb.model.config import ModelConfig
from openmmb.model.loss import token_loss
from openmmb.model.seq2seq import Seq2Seq

DATA = Path(__file__).parent / "data"
CONFIGS = json.loads((DATA / "parlai.json").read_text(encoding="utf-8"))
TENSORS = load_file(DATA / "parlai.safetensors")
PAD, START = 0, 1
TOLERANCE = 1e-5


def below(prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in TENSORS.items()
        if name.startswith(prefix)
    }


def load(name: str) -> Seq2Seq:
    model = Seq2Seq(parse(ModelConfig, CONFIGS[name])).eval()
    model.load_state_dict(below(f"{name}.weights."))
    return model


def inputs(kind: str) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Context, reply, image, has_image of a kind of batch."""
    context, reply = TENSORS["context"], TENSORS["reply"]
    if kind == "text":
        return context[:3], reply[:3], None, None
    return context, reply, TENSORS["image"], TENSORS["has_image"]


def close(got: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(got, wanted, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("kind", ["mixed", "text"])
@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_states_logits_and_losses_are_those_of_parlai(name: str, kind: str) -> None:
    model, wanted = load(name), below(f"{name}.{kind}.")
    context, reply, image, has_image = inputs(kind)
    memory = model.read(context, context != PAD, image, has_image)
    states, mask = memory.states, memory.mask
    assert mask.equal(wanted["mask"])
    close(states * mask[..., None], wanted["states"])

    logits = model.logits(model.predict(reply, memory, START))
    logits[..., START] = 0
    close(logits, wanted["logits"])

    logits[..., START] = -1e20
    for row, (row_logits, row_reply) in enumerate(zip(logits, reply, strict=True)):
        for place, target in enumerate(row_reply):
            if target != PAD:
                loss = token_loss(row_logits[place, None], target[None])
                close(loss, wanted["losses"][row, place])


@pytest.mark.parametrize("kind", ["mixed", "text"])
@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_one_token_at_a_time_gives_the_logits_of_parlai(name: str, kind: str) -> None:
    model, wanted = load(name), below(f"{name}.{kind}.")["logits"]
    context, reply, image, has_image = inputs(kind)
    memory = model.read(context, context != PAD, image, has_image)
    step = model.stepper(memory, num_beams=1, max_tokens=reply.shape[1])
    parents = torch.zeros(len(reply), 1, dtype=torch.int64)
    token = torch.full_like(parents, START)
    for place in range(reply.shape[1]):
        logits = step(token, parents)[:, 0]
        logits[:, START] = 0
        close(logits, wanted[:, place])
        token = reply[:, place : place + 1]


def test_every_variant_and_fusion_is_among_the_networks() -> None:
    assert {(config["variant"], config["fusion"]) for config in CONFIGS.values()} >= {
        *((variant, "early") for variant in ("prelayernorm", "xlm", "aiayn", "bart")),
        *((variant, "late") for variant in ("prelayernorm", "xlm", "bart")),
    }
