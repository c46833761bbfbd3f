"""The decoder-only network gives the logits of ``transformers``, with and without a picture."""

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from openmmb.convert.llama import sources
from openmmb.model.adapter import PICTURE
from openmmb.model.causal import CausalLM
from openmmb.model.causal_config import CausalConfig
from tests.model.causal import SHAPES, Inputs, inputs, network

START = 1


def published(name: str, config: CausalConfig) -> Any:
    """The same network as ``transformers`` builds it."""
    kinds = {"qwen2.5": "Qwen2", "qwen3": "Qwen3"}
    kind = kinds.get(name, "Llama")
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rotary_base}
    if config.rotary_scaling is not None:
        scaling = config.rotary_scaling
        rope |= {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_max_position_embeddings": scaling.original_positions,
        }
    settings = getattr(transformers, f"{kind}Config")(
        vocab_size=config.vocab_size,
        hidden_size=config.embed_dim,
        intermediate_size=config.ffn_dim,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        head_dim=config.head_dim,
        num_hidden_layers=config.num_layers,
        max_position_embeddings=config.num_positions,
        rms_norm_eps=config.norm_eps,
        tie_word_embeddings=config.tied,
        rope_parameters=rope,
        pad_token_id=0,
        attn_implementation="eager",
    )
    return getattr(transformers, f"{kind}ForCausalLM")(settings).eval()


def pair(name: str) -> tuple[CausalLM, Any]:
    config = SHAPES[name]
    ours, theirs = network(config), published(name, config)
    weights = theirs.state_dict()
    with torch.no_grad():
        for key, weight in ours.named_parameters():
            if not key.startswith(PICTURE):
                parts = [weights[source] for source in sources(key)]
                for part, value in zip(
                    parts, torch.split(weight, [len(p) for p in parts]), strict=True
                ):
                    part.copy_(value)
    return ours, theirs


def rows_of(ours: CausalLM, given: Inputs, *, picture: bool) -> list[tuple[Tensor, int]]:
    """Each row's input vectors, nothing of padding among them, and where its reply begins."""
    rows = []
    for row, length in enumerate(given.context_mask.sum(1).tolist()):
        parts = []
        if picture and given.has_image[row]:
            seen = given.image[row][given.image[row].any(-1)]
            parts.append(ours.image_projector(seen[None])[0] + ours.image_segment)
        parts.append(ours.embeddings(given.context[row, :length]))
        before = torch.cat([torch.tensor([START]), given.reply[row, :-1]])
        start = sum(len(part) for part in parts)
        rows.append((torch.cat([*parts, ours.embeddings(before)]), start))
    return rows


@pytest.mark.parametrize("picture", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_those_of_transformers(name: str, picture: bool) -> None:
    """Theirs padded on the left, which is how they want it; ours on the right."""
    (ours, theirs), given = pair(name), inputs()
    with torch.no_grad():
        seen = (given.image, given.has_image) if picture else (None, None)
        found = ours.logits(ours(given.context, given.context_mask, *seen, given.reply, START))
        rows = rows_of(ours, given, picture=picture)
        longest = max(len(row) for row, _ in rows)
        embeds = torch.zeros(len(rows), longest, ours.config.embed_dim)
        mask = torch.zeros(len(rows), longest, dtype=torch.int64)
        for at, (row, _) in enumerate(rows):
            embeds[at, longest - len(row) :] = row
            mask[at, longest - len(row) :] = 1
        expected = theirs(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        ).logits[:, -given.reply.shape[1] :]
    assert expected.std() > 0.5
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_are_those_of_transformers(name: str) -> None:
    (ours, theirs), given = pair(name), inputs(rows=1)
    hidden = ours(given.context, given.context_mask, None, None, given.reply, START)
    weight = torch.randn(given.reply.shape[1], ours.config.vocab_size)
    (ours.logits(hidden)[0] * weight).sum().backward()  # type: ignore[no-untyped-call]
    row, start = rows_of(ours, given, picture=False)[0]
    ids = torch.cat([given.context[0], torch.tensor([START]), given.reply[0, :-1]])
    assert len(ids) == len(row)
    (theirs(input_ids=ids[None]).logits[0, start:] * weight).sum().backward()
    for key, parameter in theirs.named_parameters():
        assert parameter.grad is not None, key
    gradients = {key: parameter.grad for key, parameter in theirs.named_parameters()}
    for key, parameter in ours.named_parameters():
        if not key.startswith(PICTURE):
            assert parameter.grad is not None, key
            expected = torch.cat([gradients[source] for source in sources(key)])
            torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-4)
